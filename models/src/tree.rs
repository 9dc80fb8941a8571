//! TOML as a tree with places, read into any type.
//!
//! toml parses; this reads. Its own way of reading is compiled anew, and at length, for each type
//! that is read: in a module for browsers that was two fifths of everything. What is read here is
//! decided by the value in the tree once, and a table for a struct is never taken as a list.

use std::fmt::{self, Display};
use std::ops::Range;

use serde::de::value::StringDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What is wrong with a text or a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    message: String,
    span: Option<Range<usize>>,
    /// The keys on the way to it, the outermost first.
    keys: Vec<String>,
    text: Option<String>,
}

impl Fault {
    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the text, in bytes.
    pub fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    /// The same with the text that it is in, of which it then shows the line.
    #[must_use]
    pub fn within(self, text: &str) -> Fault {
        Fault { text: Some(text.to_owned()), ..self }
    }

    fn at(mut self, span: &Range<usize>) -> Fault {
        self.span.get_or_insert_with(|| span.clone());
        self
    }
}

impl Display for Fault {
    /// The line with a mark below what is wrong, as toml shows it, and what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(text), Some(span)) = (&self.text, &self.span) else {
            writeln!(f, "{}", self.message)?;
            return match self.keys.as_slice() {
                [] => Ok(()),
                keys => writeln!(f, "in `{}`", keys.join(".")),
            };
        };
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let number = text[..line_start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count();
        let line = text[line_start..].split('\n').next().unwrap_or_default();
        let long = span.len().min(line.len().saturating_sub(column)).max(1);
        let margin = " ".repeat(number.to_string().len() + 1);
        writeln!(f, "TOML parse error at line {number}, column {}", column + 1)?;
        writeln!(f, "{margin}|\n{number} | {line}")?;
        writeln!(f, "{margin}|{}{}", " ".repeat(column + 1), "^".repeat(long))?;
        writeln!(f, "{}", self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Fault {
        Fault { message: message.to_string(), span: None, keys: Vec::new(), text: None }
    }
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Fault {
        let span = error.span();
        Fault { span, ..de::Error::custom(error.message()) }
    }
}

/// Reads a text.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let table = DeTable::parse(text).map_err(|error| Fault::from(error).within(text))?;
    read_table(table).map_err(|fault| fault.within(text))
}

/// Reads a tree that was parsed.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read_table<T: DeserializeOwned>(table: Spanned<DeTable<'_>>) -> Result<T, Fault> {
    let span = table.span();
    T::deserialize(Node { value: DeValue::Table(table.into_inner()), span })
}

/// A value of the tree.
struct Node<'de> {
    value: DeValue<'de>,
    span: Range<usize>,
}

/// A whole number, which may be of any of two types.
enum Whole {
    Signed(i64),
    Unsigned(u64),
}

impl Node<'_> {
    fn whole(&self) -> Result<Whole, Fault> {
        let DeValue::Integer(number) = &self.value else { return Err(self.fault("no number")) };
        let (digits, radix) = (number.as_str(), number.radix());
        i64::from_str_radix(digits, radix)
            .map(Whole::Signed)
            .or_else(|_| u64::from_str_radix(digits, radix).map(Whole::Unsigned))
            .map_err(|_| self.fault("integer number overflowed"))
    }

    fn float(&self) -> Result<f64, Fault> {
        let DeValue::Float(number) = &self.value else { return Err(self.fault("no number")) };
        number.as_str().parse().map_err(|_| self.fault("floating-point number overflowed"))
    }

    fn fault(&self, message: &str) -> Fault {
        <Fault as de::Error>::custom(message).at(&self.span)
    }

    /// It is of another kind than what was expected.
    #[inline(never)]
    fn wrong(&self, expected: &dyn Expected) -> Fault {
        let number;
        let unexpected = match &self.value {
            DeValue::String(text) => Unexpected::Str(text),
            DeValue::Integer(_) => match self.whole() {
                Ok(Whole::Signed(value)) => Unexpected::Signed(value),
                Ok(Whole::Unsigned(value)) => Unexpected::Unsigned(value),
                Err(fault) => return fault,
            },
            DeValue::Float(_) => match self.float() {
                Ok(value) => {
                    number = value;
                    Unexpected::Float(number)
                }
                Err(fault) => return fault,
            },
            DeValue::Boolean(value) => Unexpected::Bool(*value),
            DeValue::Datetime(_) => Unexpected::Other("date"),
            DeValue::Array(_) => Unexpected::Seq,
            DeValue::Table(_) => Unexpected::Map,
        };
        <Fault as de::Error>::invalid_type(unexpected, expected).at(&self.span)
    }
}

/// A kind of values that a type takes, and no other.
macro_rules! only {
    ($($method:ident: $($kind:ident)|+;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.value {
                $(DeValue::$kind(_))|+ => self.deserialize_any(visitor),
                _ => Err(self.wrong(&visitor)),
            }
        }
    )* };
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let span = self.span.clone();
        let read = match self.value {
            DeValue::String(text) => visitor.visit_str(&text),
            DeValue::Integer(_) => match self.whole()? {
                Whole::Signed(value) => visitor.visit_i64(value),
                Whole::Unsigned(value) => visitor.visit_u64(value),
            },
            DeValue::Float(_) => visitor.visit_f64(self.float()?),
            DeValue::Boolean(value) => visitor.visit_bool(value),
            DeValue::Datetime(_) => Err(self.wrong(&visitor)),
            DeValue::Array(items) => visitor.visit_seq(Items(items.into_iter())),
            DeValue::Table(table) => visitor.visit_map(Entries::of(table)),
        };
        read.map_err(|fault| fault.at(&span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // What is written is there.
        let span = self.span.clone();
        visitor.visit_some(self).map_err(|fault| fault.at(&span))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if serde_spanned::de::is_spanned(name) {
            let span = self.span.clone();
            return visitor.visit_map(serde_spanned::de::SpannedDeserializer::new(self, span));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let span = self.span.clone();
        match self.value {
            DeValue::Table(table) => {
                visitor.visit_map(Entries::of(table)).map_err(|fault| fault.at(&span))
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let span = self.span.clone();
        match self.value {
            DeValue::Array(items) => {
                visitor.visit_seq(Items(items.into_iter())).map_err(|fault| fault.at(&span))
            }
            _ => Err(self.wrong(&visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let span = self.span.clone();
        match self.value {
            DeValue::String(word) => {
                let word: StringDeserializer<Fault> = word.into_owned().into_deserializer();
                visitor.visit_enum(word).map_err(|fault| fault.at(&span))
            }
            _ => Err(self.fault("wanted string or table")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    only! {
        deserialize_str: String;
        deserialize_string: String;
        deserialize_bool: Boolean;
        deserialize_f64: Float | Integer;
    }

    forward_to_deserialize_any! {
        u8 u16 u32 u64 i8 i16 i32 i64 i128 u128 f32 char bytes byte_buf unit unit_struct
        tuple_struct tuple identifier
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Node<'de> {
    type Deserializer = Node<'de>;

    fn into_deserializer(self) -> Node<'de> {
        self
    }
}

struct Items<'de>(<DeArray<'de> as IntoIterator>::IntoIter);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.0.next() else { return Ok(None) };
        let span = item.span();
        let node = Node { value: item.into_inner(), span: span.clone() };
        seed.deserialize(node).map(Some).map_err(|fault| fault.at(&span))
    }
}

struct Entries<'de> {
    all: <DeTable<'de> as IntoIterator>::IntoIter,
    value: Option<(String, Node<'de>)>,
}

impl<'de> Entries<'de> {
    fn of(table: DeTable<'de>) -> Entries<'de> {
        Entries { all: table.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.all.next() else { return Ok(None) };
        let (span, at) = (key.span(), value.span());
        let name = key.into_inner().into_owned();
        self.value = Some((name.clone(), Node { value: value.into_inner(), span: at }));
        let name: StringDeserializer<Fault> = name.into_deserializer();
        seed.deserialize(name).map(Some).map_err(|fault| fault.at(&span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let span = node.span.clone();
        seed.deserialize(node).map_err(|fault| {
            let mut fault = fault.at(&span);
            fault.keys.insert(0, key);
            fault
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        name: Option<String>,
        many: Option<u64>,
        few: Option<i8>,
        share: Option<f64>,
        is: Option<bool>,
        mode: Option<Mode>,
        rows: Option<Vec<Row>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Live,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        at: Spanned<u32>,
    }

    #[test]
    fn what_is_right_and_what_is_wrong_is_told_as_toml_tells_it() {
        for text in [
            "name = \"a\"\nmany = 18446744073709551615\nfew = -3\nshare = 1\nis = true\nmode = \"live\"\n",
            "share = inf\nmany = 0xff\n[[rows]]\nat = 1\n[[rows]]\nat = 2\n",
            "few = 300\n",
            "na\u{ef}ve = 1\n",
            "name = \"\u{fc}\u{fc}\" # \u{e9}\nis = \"yes\"\n",
            "rows = [{ at = 1 }, { at = \"\u{fc}ber\" }]\n",
            "mode = \"dead\"\n",
            "name = 1979-05-27\n",
            "[[rows]]\n",
            "[rows]\nat = 1\n",
            "name = \n",
            "name = \"a\nis = 1\n",
            "is = 1\nis = 2\n",
            "is = 12.5",
            "",
        ] {
            let ours = read::<File>(text).map_err(|fault| fault.to_string());
            let toml = toml::from_str::<File>(text).map_err(|error| error.to_string());
            match (ours, toml) {
                // Of dates it has its own way to speak.
                (Err(ours), Err(_)) if text.contains("1979") => {
                    assert!(ours.contains("invalid type: date, expected a string"), "{ours}");
                }
                (ours, toml) => assert_eq!(ours, toml, "{text}"),
            }
        }
    }

    #[test]
    fn numbers_that_no_type_holds_are_refused() {
        let fault = read::<File>("many = 99999999999999999999\n").unwrap_err();
        assert_eq!((fault.message(), fault.span()), ("integer number overflowed", Some(7..27)));
    }

    #[test]
    fn a_list_is_no_table() {
        let fault = read::<File>("rows = [[1]]\n").unwrap_err();
        assert!(fault.message().contains("invalid type: sequence, expected struct Row"), "{fault}");
    }
}
