//! The keys that records are encrypted with, each under an id.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Error;

/// 256 bits, as XChaCha20-Poly1305 wants them.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// The length of an id has one byte in a record, and a person reads it in an event.
const LONGEST_ID: usize = 64;

/// The keys of an [`EncryptedStore`](crate::EncryptedStore): the newest encrypts, all decrypt.
///
/// An id is a name for a key, such as the month in which it was made; it stands in the clear in
/// every record. It has 1 to 64 printable ASCII characters, without white space, `:` and `,`.
///
/// Programs mostly get keys from their environment, and one variable holds all of them:
/// `id:base64`, and older ones behind it after commas. That is what `parse` reads:
///
/// ```
/// use reqwest_bearer::EncryptionKeys;
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// // TOKEN_KEYS="2025-06:$(openssl rand -base64 32)"
/// # let text = "2025-06:3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";
/// let keys: EncryptionKeys = text.parse()?;
/// # Ok(())
/// # }
/// ```
///
/// To change keys while several processes run, first give all of them the new key as an older one,
/// then as the newest: each must be able to read what another one writes. The old one can go when
/// all records that it encrypted have been saved again or have left by themselves, which takes as
/// long as a record lives at most; a record whose key is gone counts as absent.
///
/// Keys are zeroised when they go, and `Debug` shows their ids alone.
#[derive(Clone)]
pub struct EncryptionKeys {
    newest: NamedKey,
    older: Vec<NamedKey>,
}

#[derive(Clone)]
struct NamedKey {
    id: String,
    key: Key,
}

impl EncryptionKeys {
    /// One key, which encrypts and decrypts.
    ///
    /// # Errors
    /// If the key has not exactly 32 bytes, or the id is none.
    pub fn new(id: impl Into<String>, key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            newest: NamedKey::new(id.into(), key)?,
            older: Vec::new(),
        })
    }

    /// The same keys and one that only decrypts.
    ///
    /// # Errors
    /// If the key has not exactly 32 bytes, or the id is none, or is there already.
    pub fn with_older(mut self, id: impl Into<String>, key: &[u8]) -> Result<Self, Error> {
        let named = NamedKey::new(id.into(), key)?;
        if self.get(&named.id).is_some() {
            let id = named.id;
            return Err(Error::settings(format!(
                "two encryption keys have the id `{id}`: give each its own"
            )));
        }
        self.older.push(named);
        Ok(self)
    }

    /// The key that encrypts, and its id.
    pub(super) fn newest(&self) -> (&str, &Key) {
        (&self.newest.id, &self.newest.key)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Key> {
        let found = self.all().find(|named| named.id == id)?;
        Some(&found.key)
    }

    fn all(&self) -> impl Iterator<Item = &NamedKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

/// Reads `id:base64`, and older keys behind it after commas.
impl FromStr for EncryptionKeys {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut entries = text.split(',').map(read_entry);
        // A text that is split has one part at least.
        let (id, key) = entries.next().unwrap_or_else(|| read_entry(""))?;
        let newest = Self::new(id, &key)?;
        entries.try_fold(newest, |keys, entry| {
            let (id, key) = entry?;
            keys.with_older(id, &key)
        })
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<_> = self.older.iter().map(|named| &named.id).collect();
        formatter
            .debug_struct("EncryptionKeys")
            .field("newest", &self.newest.id)
            .field("older", &older)
            .finish_non_exhaustive()
    }
}

impl NamedKey {
    fn new(id: String, key: &[u8]) -> Result<Self, Error> {
        if !is_id(id.as_bytes()) {
            return Err(Error::settings(
                "the id of an encryption key has 1 to 64 printable ASCII characters without white \
                 space, `:` and `,`, such as `2025-06`",
            ));
        }
        let length = key.len();
        let key = key.try_into().map(Zeroizing::new).map_err(|_| {
            Error::settings(format!(
                "the encryption key `{id}` has {length} bytes and needs 32: make one with \
                 `openssl rand -base64 32`"
            ))
        })?;
        Ok(Self { id, key })
    }
}

/// Whether this may be the id of a key: also what is asked of one before an event shows it.
pub(super) fn is_id(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b',');
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(plain)
}

/// The messages name no part of the text: all of it may be a key whose id was forgotten.
fn read_entry(entry: &str) -> Result<(&str, Zeroizing<Vec<u8>>), Error> {
    let (id, key) = entry.trim().split_once(':').ok_or_else(|| {
        Error::settings("encryption keys are written as `id:base64`, older ones after commas")
    })?;
    // The cause is left out, since it names a character of the key.
    let key = STANDARD.decode(key).map_err(|_| {
        Error::settings(
            "an encryption key is written in base64 with its padding: make one with \
             `openssl rand -base64 32`",
        )
    })?;
    Ok((id, Zeroizing::new(key)))
}

#[cfg(test)]
mod tests {
    use super::EncryptionKeys;
    use crate::error::ErrorKind;

    /// 32 bytes of 7.
    const SEVENS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    /// 32 bytes of 8.
    const EIGHTS: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";

    #[test]
    fn a_key_has_32_bytes_and_an_error_says_how_to_make_one() {
        // F8
        for length in [0, 16, 31, 33, 44, 64] {
            let error = EncryptionKeys::new("2025-06", &vec![7; length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{length}");
            let message = error.to_string();
            for part in [
                &format!("has {length} bytes"),
                "needs 32",
                "openssl rand -base64 32",
            ] {
                assert!(message.contains(part), "{message}");
            }
        }
        EncryptionKeys::new("2025-06", &[7; 32]).unwrap();
    }

    #[test]
    fn an_id_is_short_printable_and_unique() {
        // F8
        let good = ["a", "2025-06", "~!/@", &"x".repeat(64)];
        let bad = ["", " ", "a b", "a:b", "a,b", "é", "a\n", &"x".repeat(65)];
        for (ids, expected) in [(&good[..], true), (&bad[..], false)] {
            for id in ids {
                let keys = EncryptionKeys::new(*id, &[7; 32]);
                assert_eq!(keys.is_ok(), expected, "{id:?}");
                let older = EncryptionKeys::new("newest", &[7; 32])
                    .unwrap()
                    .with_older(*id, &[8; 32]);
                assert_eq!(older.is_ok(), expected, "{id:?}");
            }
        }
        let keys = EncryptionKeys::new("a", &[7; 32]).unwrap();
        let keys = keys.with_older("b", &[8; 32]).unwrap();
        for taken in ["a", "b"] {
            let error = keys.clone().with_older(taken, &[9; 32]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings);
        }
    }

    #[test]
    fn a_text_names_the_newest_key_first() {
        // F8
        for text in [
            format!("new:{SEVENS},old:{EIGHTS}"),
            format!(" new:{SEVENS} , old:{EIGHTS}\n"),
        ] {
            let keys: EncryptionKeys = text.parse().unwrap();
            assert_eq!(keys.newest().0, "new");
            assert_eq!(**keys.newest().1, [7; 32]);
            assert_eq!(**keys.get("old").unwrap(), [8; 32]);
            assert!(keys.get("other").is_none());
        }
    }

    #[test]
    fn a_text_that_holds_no_keys_is_an_error_that_shows_nothing_of_it() {
        // D6, F8
        for text in [
            "",
            ",",
            SEVENS,
            &format!("a:{SEVENS},"),
            &format!("a:{SEVENS},a:{EIGHTS}"),
            &format!("a:{}", &SEVENS[1..]),
            &format!("a:{}", SEVENS.trim_end_matches('=')),
            &format!("a:{SEVENS} {SEVENS}"),
            "a:0707070707070707070707070707070707070707070707070707070707070707",
            "a:BwcHBwcH",
        ] {
            let error = text.parse::<EncryptionKeys>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{text}");
            let shown = format!("{error} {error:?}");
            for secret in ["BwcH", "CAgI", "0707"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        // D6
        let keys: EncryptionKeys = format!("new:{SEVENS},old:{EIGHTS}").parse().unwrap();
        let expected = r#"EncryptionKeys { newest: "new", older: ["old"], .. }"#;
        assert_eq!(format!("{keys:?}"), expected);
    }
}
