//! What the tests share: questions in a line, and the program.

use std::path::PathBuf;
use std::process::{Command, Output};

use migsim::answer::predict;
use migsim::engine::{Fidelity, Outcome};
use migsim::input::{Case, Keys};
use migsim_models::profile::Profile;

/// A case of that memory, touched part, workload and link; the rest as it is by default.
pub(crate) fn case(memory: &str, touched: &str, workload: &str, link: &str) -> Case {
    let mut keys = Keys::default();
    keys.guest.memory = Some(memory.parse().unwrap());
    keys.guest.touched = Some(touched.parse().unwrap());
    keys.guest.workload = Some(workload.parse().unwrap());
    keys.link.capacity = Some(link.parse().unwrap());
    Case::build(&keys).unwrap()
}

/// Its answer with the assumed profile, which no fit changes.
pub(crate) fn answer(case: &Case) -> Outcome {
    predict(case, &Profile::assumed(), Fidelity::Flow)
}

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the program in the folder of the workspace.
pub(crate) fn migsim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_migsim"))
        .args(arguments)
        .current_dir(workspace())
        .output()
        .unwrap()
}

/// What the program says on standard output, which must be all it says, and well.
pub(crate) fn says(arguments: &[&str]) -> String {
    let output = migsim(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a page was given, of its HTML.
pub(crate) fn given(html: &str) -> serde_json::Value {
    let start = html.find("id=\"given\">").unwrap() + "id=\"given\">".len();
    let end = start + html[start..].find("</script>").unwrap();
    serde_json::from_str(&html[start..end]).unwrap()
}
