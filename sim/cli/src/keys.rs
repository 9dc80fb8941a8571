//! The keys of a scenario as flags.

use std::ffi::OsStr;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use migsim::input::{Key, Keys, Kind, Table};

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

/// The flags of the keys of `[migration]` alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct MigrationFlags(pub(crate) Keys);

fn flags(wanted: fn(&Key) -> bool) -> impl Iterator<Item = (&'static Key, Arg)> {
    Key::all().filter(move |key| wanted(key)).filter_map(|key| {
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

/// Sets what flags say.
fn set(keys: &mut Keys, matches: &ArgMatches, wanted: fn(&Key) -> bool) -> Result<(), Error> {
    for (key, _) in flags(wanted) {
        if let Some(text) = matches.get_one::<String>(key.key) {
            // It was set once already, when the flag was read.
            key.set(keys, text)
                .map_err(|why| Error::raw(clap::error::ErrorKind::ValueValidation, why))?;
        }
    }
    Ok(())
}

macro_rules! flags_of {
    ($type:ident, $wanted:expr) => {
        impl Args for $type {
            fn augment_args(command: Command) -> Command {
                command.args(flags($wanted).map(|(_, arg)| arg))
            }

            fn augment_args_for_update(command: Command) -> Command {
                $type::augment_args(command)
            }
        }

        impl FromArgMatches for $type {
            fn from_arg_matches(matches: &ArgMatches) -> Result<$type, Error> {
                let mut keys = $type::default();
                keys.update_from_arg_matches(matches)?;
                Ok(keys)
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                set(&mut self.0, matches, $wanted)
            }
        }
    };
}

flags_of!(KeyFlags, |_| true);
flags_of!(MigrationFlags, |key| key.table == Table::Migration);
