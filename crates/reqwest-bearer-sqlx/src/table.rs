//! The name of the table, which no parameter of a statement can stand for.

use reqwest_bearer::Error;

/// Postgres cuts names off after 63 bytes, and the index has a longer one than the table.
const LONGEST: usize = 48;

/// A name that is safe in a statement: letters, digits and underscores, between quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    schema: Option<String>,
    name: String,
}

impl Table {
    /// The one that a store has unless it is told another.
    pub(crate) fn usual() -> Self {
        Self {
            schema: None,
            name: "reqwest_bearer_tokens".to_owned(),
        }
    }

    /// Reads `table` or `schema.table`.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if !is_name(name) || !schema.is_none_or(is_name) {
            return Err(Error::settings(format!(
                "the name of a table is `table` or `schema.table`, each of at most {LONGEST} letters, digits and \
                 underscores that do not begin with a digit"
            )));
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// As it stands in a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("{}{}", self.prefix(), self.unqualified())
    }

    /// The same without the schema.
    pub(crate) fn unqualified(&self) -> String {
        format!("\"{}\"", self.name)
    }

    /// The index by which the sweep finds what has had its time, without a schema.
    pub(crate) fn index(&self) -> String {
        format!("\"{}_expires_at\"", self.name)
    }

    /// The schema with its dot, if there is one.
    pub(crate) fn prefix(&self) -> String {
        let schema = self.schema.as_deref();
        schema.map_or_else(String::new, |schema| format!("\"{schema}\"."))
    }
}

fn is_name(text: &str) -> bool {
    let is_in_name = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(is_in_name)
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use reqwest_bearer::ErrorKind;

    use super::{LONGEST, Table};

    #[test]
    fn a_name_is_quoted_and_nothing_else_gets_into_a_statement() {
        for (text, quoted) in [
            ("tokens", r#""tokens""#),
            ("auth.tokens", r#""auth"."tokens""#),
            ("_T9.Order", r#""_T9"."Order""#),
            (
                &"a".repeat(LONGEST),
                &format!("\"{}\"", "a".repeat(LONGEST)),
            ),
        ] {
            assert_eq!(Table::read(text).unwrap().quoted(), quoted);
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "9a",
            "a.9b",
            "a b",
            "a-b",
            "tökens",
            "a\"; DROP TABLE users; --",
            "a\0",
            &"a".repeat(LONGEST + 1),
        ] {
            let error = Table::read(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{bad:?}");
        }
    }
}
