//! What a configuration says, whichever format it was written in and whatever read it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::secret::Secret;

/// A value with everything below it. Its kind is judged when it is asked for, where the key is known: serde's
/// own messages name neither the key nor the way out, and the environment has nothing but texts.
#[derive(Clone)]
pub(super) enum Value {
    /// It may be a secret.
    Text(Secret),
    Flag(bool),
    Whole(i128),
    Fraction(f64),
    List(Vec<Value>),
    Table(Entries),
}

/// What stands in a table, by its keys.
pub(super) type Entries = BTreeMap<String, Value>;

impl Value {
    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Flag(_) => "`true` or `false`",
            Self::Whole(_) | Self::Fraction(_) => "a number",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The entries of a table, without those that are null: a key that is given nothing counts as left out.
pub(super) struct TableOf(pub(super) Entries);

struct AnyValue;

struct AnyTable;

/// A value, or a null.
struct Given(Option<Value>);

/// The key of an entry; YAML has keys that are numbers.
struct EntryKey(String);

impl<'de> Deserialize<'de> for TableOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyTable).map(Self)
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

impl<'de> Visitor<'de> for AnyTable {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table with `clients`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entries, A::Error> {
        entries(map)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Option<Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a number, a boolean, a list or a table")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Option<Value>, E> {
        Ok(Some(Value::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Whole(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Whole(number.into())))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Option<Value>, E> {
        Ok(Some(Value::Whole(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Option<Value>, E> {
        Ok(Some(Value::Fraction(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Value>, E> {
        Ok(Some(Value::Text(Secret::new(text))))
    }

    fn visit_string<E>(self, text: String) -> Result<Option<Value>, E> {
        Ok(Some(Value::Text(Secret::new(text))))
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, some: D) -> Result<Option<Value>, D::Error> {
        some.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        inner: D,
    ) -> Result<Option<Value>, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Value>, A::Error> {
        let mut values = Vec::new();
        while let Some(Given(value)) = list.next_element()? {
            values.extend(value);
        }
        Ok(Some(Value::List(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<Value>, A::Error> {
        entries(map).map(|entries| Some(Value::Table(entries)))
    }
}

fn entries<'de, A: MapAccess<'de>>(mut map: A) -> Result<Entries, A::Error> {
    let mut entries = Entries::new();
    while let Some((EntryKey(key), Given(value))) = map.next_entry()? {
        if entries.contains_key(&key) {
            // JSON allows it, and each reader takes another one of the two.
            return Err(A::Error::custom(format_args!(
                "the key `{key}` is given twice"
            )));
        }
        if let Some(value) = value {
            entries.insert(key, value);
        }
    }
    Ok(entries)
}

impl<'de> Deserialize<'de> for EntryKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyKey;

        impl Visitor<'_> for AnyKey {
            type Value = String;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_bool<E>(self, key: bool) -> Result<String, E> {
                Ok(key.to_string())
            }

            fn visit_i64<E>(self, key: i64) -> Result<String, E> {
                Ok(key.to_string())
            }

            fn visit_u64<E>(self, key: u64) -> Result<String, E> {
                Ok(key.to_string())
            }

            fn visit_str<E>(self, key: &str) -> Result<String, E> {
                Ok(key.to_owned())
            }

            fn visit_string<E>(self, key: String) -> Result<String, E> {
                Ok(key)
            }
        }

        deserializer.deserialize_any(AnyKey).map(Self)
    }
}
