//! Host profiles from files and by name.

use std::path::Path as FilePath;

use migsim_models::profile::{Profile, ProfileError, shipped};

use super::error::{InputError, line_of_key, toml_error};
use super::text::read_file;

/// The profile of a file or of the name of a shipped one, or where none is given the embedded one;
/// beside it the keys that a file lacks, which have the values of its base.
///
/// # Errors
/// Names the file, the line and what is accepted.
pub fn profile_or_default(file: Option<&FilePath>) -> Result<(Profile, Vec<String>), InputError> {
    let Some(file) = file else { return Ok((Profile::default(), Vec::new())) };
    let by_name = match file.to_str() {
        // A file of that name goes before a shipped profile.
        _ if file.exists() => None,
        Some("ideal") => Some(Profile::ideal()),
        Some(name) => shipped(name).and_then(|text| Profile::parse(text).ok()),
        None => None,
    };
    by_name.map_or_else(|| read_profile(file), |profile| Ok((profile, Vec::new())))
}

fn read_profile(file: &FilePath) -> Result<(Profile, Vec<String>), InputError> {
    let text = read_file(file)?;
    Profile::parse_noting(&text).map_err(|error| match &error {
        ProfileError::Toml(e) => toml_error(file, &text, e),
        ProfileError::Range { key, .. } => {
            let key = key.rsplit('.').next().unwrap_or(key);
            let offset = line_of_key(&text, 0..text.len(), key);
            InputError::at(file, &text, offset, &error)
        }
    })
}
