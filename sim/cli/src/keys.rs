//! The keys of a scenario as flags.

use std::ffi::OsStr;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use migsim::input::{Key, Keys, Kind};

/// The flags of all keys that have one, made from the table of keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyFlags(pub(crate) Keys);

/// A key's value as text, which was tried.
#[derive(Debug, Clone, Copy)]
struct Tried(&'static Key);

impl TypedValueParser for Tried {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, Error> {
        let try_it = |text: String| self.0.set(&mut Keys::default(), &text).map(|()| text);
        NonEmptyStringValueParser::new().try_map(try_it).parse_ref(command, arg, value)
    }

    /// Which shells complete.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue>>> {
        let words = self.0.words.iter().map(PossibleValue::new);
        (!self.0.words.is_empty()).then(|| Box::new(words) as Box<dyn Iterator<Item = _>>)
    }
}

fn flags() -> impl Iterator<Item = (&'static Key, Arg)> {
    Key::all().filter_map(|key| {
        let flag = key.flag?;
        let arg = Arg::new(key.key)
            .long(flag.long)
            .value_name(flag.value)
            .help(key.doc.trim())
            .value_parser(Tried(key));
        Some((
            key,
            if key.kind == Kind::Switch {
                arg.num_args(0..=1).default_missing_value("true")
            } else {
                arg
            },
        ))
    })
}

impl Args for KeyFlags {
    fn augment_args(command: Command) -> Command {
        command.args(flags().map(|(_, arg)| arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        KeyFlags::augment_args(command)
    }
}

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<KeyFlags, Error> {
        let mut keys = KeyFlags::default();
        keys.update_from_arg_matches(matches)?;
        Ok(keys)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for (key, _) in flags() {
            if let Some(text) = matches.get_one::<String>(key.key) {
                // It was set once already, when the flag was read.
                key.set(&mut self.0, text)
                    .map_err(|why| Error::raw(clap::error::ErrorKind::ValueValidation, why))?;
            }
        }
        Ok(())
    }
}
