//! Host profiles from files and by name.

use std::path::Path as FilePath;

use migsim_models::profile::{Profile, ProfileError};

use super::error::{InputError, line_of_key, toml_error};
use super::text::read_file;

/// The profile of a file or of the name of a shipped one, or where none is given the embedded one.
///
/// # Errors
/// Those of [`read_profile`].
pub fn profile_or_default(file: Option<&FilePath>) -> Result<Profile, InputError> {
    let Some(file) = file else { return Ok(Profile::default()) };
    match file.to_str() {
        // A file of that name goes before a shipped profile.
        _ if file.exists() => read_profile(file),
        Some("lab" | "default") => Ok(Profile::default()),
        Some("assumed") => Ok(Profile::assumed()),
        Some("ideal") => Ok(Profile::ideal()),
        _ => read_profile(file),
    }
}

/// Reads a profile from a file.
///
/// # Errors
/// Names the file, the line and what is accepted.
pub fn read_profile(file: &FilePath) -> Result<Profile, InputError> {
    Ok(read_profile_noting(file)?.0)
}

/// Like [`read_profile`]; beside it the keys that the file lacks, which have the values of its base.
///
/// # Errors
/// Those of [`read_profile`].
pub fn read_profile_noting(file: &FilePath) -> Result<(Profile, Vec<String>), InputError> {
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
