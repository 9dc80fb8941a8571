//! The keys of a scenario, with what each means.

use migsim::answer::shape;

use crate::document::Document;
use crate::format::Told;

/// All keys that files, flags and sweeps take, table by table.
pub fn keys() -> Told {
    let all = shape::ScenarioKeys::default();
    let mut out = Document::default();
    for table in all.keys.chunk_by(|a, b| a.table == b.table) {
        out.text(format!("[{}]\n", table[0].table));
        for key in table {
            let takes = if key.words.is_empty() { key.kind } else { &key.words.join("|") };
            let flag = key.flag.iter().map(|flag| format!(", --{flag}")).collect::<String>();
            out.text(format!("- {} ({takes}{flag}): {}\n", key.key, key.meaning));
        }
        out.text("\n");
    }
    Told::new(out, &all, &all.keys)
}
