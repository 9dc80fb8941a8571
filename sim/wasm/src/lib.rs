//! The simulator as a WebAssembly module: one thread, no imports, questions and answers as JSON.
//!
//! A page calls `alloc`, writes a question, calls `ask`, reads the answer where the result says,
//! and gives both back to `free`. `build` makes the module; `compare` holds its answers to those of
//! the same code built for this machine, byte for byte.
//!
//! | `ask` | what is asked | in |
//! | --- | --- | --- |
//! | (none) | a question as [`migsim::input::JsonQuestion`] reads it, alone | predict |
//! | `predict` | the same with hosts, models and words for it | predict |
//! | `pages` | the guest's memory page by page, at moments | pages |
//! | `sweep` | the same question over ranges | sweep |
//! | `fleet` | many migrations, from files that the page holds | fleet, with the feature `fleets` |
//! | `records` | recorded runs, predicted | records, with the same |
//! | `scenario` | what a scenario's file asks, as questions | catalog |
//! | `catalog` | keys, applications, profiles, published models | catalog |

mod catalog;
#[cfg(feature = "fleets")]
mod fleet;
mod hosts;
mod pages;
mod predict;
#[cfg(feature = "fleets")]
mod records;
mod sweep;

use serde::Deserialize;
use serde_json::{Value, json};

/// What a page asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
enum Request {
    Predict(predict::Ask),
    Sweep(sweep::Ask),
    #[cfg(feature = "fleets")]
    Fleet(fleet::Ask),
    #[cfg(feature = "fleets")]
    Records(records::Ask),
    Scenario(catalog::Ask),
    Catalog,
}

/// The answer to a question as JSON, as JSON; `{"error": "..."}` where there is none.
pub fn answer(question: &str) -> String {
    let answered = || -> Result<String, String> {
        let object: Value = serde_json::from_str(question).map_err(|error| error.to_string())?;
        if object.get("ask").is_none() {
            return predict::alone(question);
        }
        let found = match Request::deserialize(object).map_err(|error| error.to_string())? {
            Request::Predict(ask) => ask.answer(),
            Request::Sweep(ask) => ask.answer(),
            #[cfg(feature = "fleets")]
            Request::Fleet(ask) => ask.answer(),
            #[cfg(feature = "fleets")]
            Request::Records(ask) => ask.answer(),
            Request::Scenario(ask) => ask.answer(),
            Request::Catalog => Ok(catalog::all()),
        };
        serde_json::to_string(&found?).map_err(|error| error.to_string())
    };
    answered().unwrap_or_else(|error| json!({ "error": error }).to_string())
}

/// The answer to `pages`, which is long: so many bytes of JSON as its first four say (little
/// endian), the JSON, and what it says of the rest.
pub fn watched(question: &str) -> Vec<u8> {
    let asked = || -> Result<pages::Watched, String> {
        let ask: pages::Ask = serde_json::from_str(question).map_err(|error| error.to_string())?;
        ask.answer()
    };
    let (head, body) = match asked() {
        Ok(watched) => (watched.head, watched.body),
        Err(error) => (json!({ "error": error }), Vec::new()),
    };
    let head = head.to_string();
    let length = (head.len() as u32).to_le_bytes();
    [&length, head.as_bytes(), &body].concat()
}

/// What the module exports. On other machines `free` is somebody else's.
#[cfg(target_arch = "wasm32")]
mod exports {
    /// Room for so many bytes.
    #[expect(unsafe_code, reason = "a module's functions have names of their own")]
    #[unsafe(no_mangle)]
    extern "C" fn alloc(length: usize) -> *mut u8 {
        Box::into_raw(vec![0_u8; length].into_boxed_slice()).cast()
    }

    /// Gives back what `alloc`, `ask` or `watch` gave.
    ///
    /// # Safety
    /// The pointer and the length are those that were given, and given back once.
    #[expect(unsafe_code, reason = "the page has had the memory")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(pointer: *mut u8, length: usize) {
        // SAFETY: it was a boxed slice of that length.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(pointer, length)) });
    }

    /// Answers the question of so many bytes there. Returns pointer and length of the answer, the
    /// pointer in the upper half.
    ///
    /// # Safety
    /// The pointer and the length are those that `alloc` gave.
    #[expect(unsafe_code, reason = "the page has written the question there")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn ask(pointer: *const u8, length: usize) -> u64 {
        // SAFETY: `alloc` gave that many bytes, and they are initialised.
        let question = unsafe { std::slice::from_raw_parts(pointer, length) };
        given(super::answer(&String::from_utf8_lossy(question)).into_bytes())
    }

    /// Like `ask`, of [`super::watched`].
    ///
    /// # Safety
    /// The pointer and the length are those that `alloc` gave.
    #[expect(unsafe_code, reason = "the page has written the question there")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn watch(pointer: *const u8, length: usize) -> u64 {
        // SAFETY: `alloc` gave that many bytes, and they are initialised.
        let question = unsafe { std::slice::from_raw_parts(pointer, length) };
        given(super::watched(&String::from_utf8_lossy(question)))
    }

    fn given(answer: Vec<u8>) -> u64 {
        let answer = answer.into_boxed_slice();
        let length = answer.len() as u64;
        let pointer = Box::into_raw(answer).cast::<u8>() as usize as u64;
        pointer << 32 | length
    }
}
