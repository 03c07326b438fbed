//! How a record is encrypted, and what an encrypted one looks like.
//!
//! ```text
//! 1 byte    the format: 1
//! 1 byte    n, the length of the key's id
//! n bytes   the key's id
//! 24 bytes  the nonce
//! the rest  the encrypted data, and 16 bytes of authentication tag
//! ```
//!
//! The associated data is what stands before the nonce, and the 32 bytes of the record's name.

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::store::StoreKey;
use crate::store::encrypted::keys::{EncryptionKeys, Key, is_id};

const FORMAT: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Encrypts the data of the record that has this name.
pub(super) fn seal(keys: &EncryptionKeys, name: &StoreKey, data: &[u8]) -> Result<Vec<u8>, Error> {
    let (id, key) = keys.newest();
    // An id has 64 bytes at most, so that this never fails.
    let length = u8::try_from(id.len()).map_err(|_| too_long())?;
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|error| {
        Error::store("the operating system gives no random numbers").with_source(error)
    })?;

    // All of it is reserved at once: a vector that grew would leave the data in freed memory.
    let mut sealed = Vec::with_capacity(2 + id.len() + NONCE + data.len() + TAG);
    sealed.extend([FORMAT, length]);
    sealed.extend(id.as_bytes());
    let bound = associated(&sealed, name);
    sealed.extend(nonce);
    let start = sealed.len();
    sealed.extend(data);
    let tag = cipher(key)
        .encrypt_inout_detached(&nonce.into(), &bound, (&mut sealed[start..]).into())
        .map_err(|_| too_long())?;
    sealed.extend(tag);
    Ok(sealed)
}

/// Decrypts the data of the record that has this name, or says what is wrong with it.
pub(super) fn open(
    keys: &EncryptionKeys,
    name: &StoreKey,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, String> {
    let parts = split(sealed).ok_or("it is not an encrypted record, or it was cut short")?;
    let id = std::str::from_utf8(parts.id).map_err(|_| "its key has no name")?;
    let key = keys.get(id).ok_or_else(|| {
        format!("it is encrypted with the key `{id}`, which is not among those given")
    })?;
    let mut data = Zeroizing::new(parts.encrypted.to_vec());
    let bound = associated(parts.header, name);
    cipher(key)
        .decrypt_inout_detached(&parts.nonce, &bound, data.as_mut_slice().into(), &parts.tag)
        .map_err(|_| {
            format!(
                "the key `{id}` does not open it: it was changed, or moved here from another \
                 place, or encrypted with another key of that name"
            )
        })?;
    Ok(data)
}

struct Parts<'record> {
    /// What stands before the nonce.
    header: &'record [u8],
    id: &'record [u8],
    nonce: XNonce,
    encrypted: &'record [u8],
    tag: Tag,
}

fn split(sealed: &[u8]) -> Option<Parts<'_>> {
    let [FORMAT, length, ..] = sealed else {
        return None;
    };
    let (header, rest) = sealed.split_at_checked(2 + usize::from(*length))?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let (encrypted, tag) = rest.split_last_chunk::<TAG>()?;
    // What is no id was not written by us, and must not be shown in an event.
    let id = header.get(2..).filter(|id| is_id(id))?;
    Some(Parts {
        header,
        id,
        nonce: (*nonce).into(),
        encrypted,
        tag: (*tag).into(),
    })
}

fn associated(header: &[u8], name: &StoreKey) -> Vec<u8> {
    [header, name.as_bytes()].concat()
}

/// The cipher wipes its copy of the key when it goes (its feature `zeroize`).
fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&**key).into())
}

fn too_long() -> Error {
    Error::store("the record is too long to be encrypted")
}

#[cfg(test)]
mod tests {
    use super::{open, seal};
    use crate::store::StoreKey;
    use crate::store::encrypted::keys::EncryptionKeys;

    const DATA: &[u8] = b"s3cr3t";

    fn keys(id: &str, byte: u8) -> EncryptionKeys {
        EncryptionKeys::new(id, &[byte; 32]).unwrap()
    }

    fn name(name: &str) -> StoreKey {
        StoreKey::of([name])
    }

    #[test]
    fn what_was_sealed_is_opened_and_looks_different_each_time() {
        // F8
        let keys = keys("2025-06", 7);
        for data in [DATA, b"", &[0; 100_000]] {
            let sealed = seal(&keys, &name("a"), data).unwrap();
            assert_eq!(sealed.len(), 2 + 7 + 24 + data.len() + 16);
            assert_eq!(open(&keys, &name("a"), &sealed).unwrap().as_slice(), data);
            assert_ne!(sealed, seal(&keys, &name("a"), data).unwrap());
        }
    }

    #[test]
    fn a_sealed_record_shows_the_id_of_its_key_and_nothing_of_its_data() {
        // F8
        let sealed = seal(&keys("2025-06", 7), &name("a"), DATA).unwrap();
        assert!(sealed.starts_with(b"\x01\x072025-06"));
        assert!(!sealed.windows(DATA.len()).any(|part| part == DATA));
    }

    #[test]
    fn the_newest_key_encrypts_and_all_decrypt() {
        // F8
        let old = seal(&keys("old", 8), &name("a"), DATA).unwrap();
        let both = keys("new", 7).with_older("old", &[8; 32]).unwrap();
        assert_eq!(open(&both, &name("a"), &old).unwrap().as_slice(), DATA);
        let new = seal(&both, &name("a"), DATA).unwrap();
        let opened = open(&keys("new", 7), &name("a"), &new).unwrap();
        assert_eq!(opened.as_slice(), DATA);
    }

    #[test]
    fn an_unknown_key_is_named_and_a_wrong_one_opens_nothing() {
        // F7, F8
        let sealed = seal(&keys("old", 8), &name("a"), DATA).unwrap();
        let problem = open(&keys("new", 8), &name("a"), &sealed).unwrap_err();
        assert!(problem.contains("the key `old`, which is not"), "{problem}");
        let problem = open(&keys("old", 9), &name("a"), &sealed).unwrap_err();
        assert!(problem.contains("`old` does not open it"), "{problem}");
    }

    #[test]
    fn a_record_that_was_moved_to_another_name_is_not_opened() {
        // D8, F8
        let keys = keys("2025-06", 7);
        let sealed = seal(&keys, &name("alice"), DATA).unwrap();
        open(&keys, &name("alice"), &sealed).unwrap();
        open(&keys, &name("bob"), &sealed).unwrap_err();
    }

    #[test]
    fn no_byte_can_be_changed_left_out_or_added() {
        // F7, F8
        // Two ids with the same key: a changed id is found by the associated data alone.
        let keys = keys("b", 7).with_older("c", &[7; 32]).unwrap();
        let sealed = seal(&keys, &name("a"), DATA).unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                open(&keys, &name("a"), &changed).unwrap_err();
            }
            open(&keys, &name("a"), &sealed[..at]).unwrap_err();
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        open(&keys, &name("a"), &longer).unwrap_err();
    }

    #[test]
    fn what_no_key_has_made_is_told_without_being_shown() {
        // D6, F7
        let foreign = [b"\x01\x06s3cr3\n".as_slice(), &[7; 60]].concat();
        for plain in [b"{\"access_token\":\"s3cr3t\"}", foreign.as_slice(), b""] {
            let problem = open(&keys("b", 7), &name("a"), plain).unwrap_err();
            assert!(problem.contains("not an encrypted record"), "{problem}");
            assert!(!problem.contains("s3cr3"), "{problem}");
        }
    }
}
