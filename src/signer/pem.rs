//! Texts of PEM (RFC 7468): its blocks, with what none but them says of a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block.
pub(crate) struct Block<'text> {
    /// What stands in its first line, such as `PRIVATE KEY`.
    pub(crate) label: &'text str,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A block has no last line.
    CutOff,
    /// A block has something else than base64 in it.
    Garbled,
    /// The old form of an encrypted key, whose lines before the base64 say how (RFC 1421).
    Encrypted,
}

/// PrivateKeyInfo (RFC 5958).
pub(crate) const PKCS8: &str = "PRIVATE KEY";
/// ECPrivateKey (RFC 5915).
pub(crate) const SEC1: &str = "EC PRIVATE KEY";
/// RSAPrivateKey (RFC 8017 appendix A.1.2).
pub(crate) const PKCS1: &str = "RSA PRIVATE KEY";
pub(crate) const CERTIFICATE: &str = "CERTIFICATE";

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The blocks in their order. What stands between them is a comment (RFC 7468 section 5.2).
pub(crate) fn blocks(mut text: &str) -> Result<Vec<Block<'_>>, Fault> {
    let mut blocks = Vec::new();
    while let Some((_, rest)) = text.split_once(BEGIN) {
        let (label, rest) = rest.split_once(DASHES).ok_or(Fault::CutOff)?;
        let end = format!("-----END {label}-----");
        let (body, rest) = rest.split_once(&end).ok_or(Fault::CutOff)?;
        if body.contains("Proc-Type:") && body.contains("ENCRYPTED") {
            return Err(Fault::Encrypted);
        }
        let mut base64 = Zeroizing::new(Vec::with_capacity(body.len()));
        base64.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
        STANDARD
            .decode_vec(&base64[..], &mut der)
            .map_err(|_| Fault::Garbled)?;
        blocks.push(Block { label, der });
        text = rest;
    }
    Ok(blocks)
}

/// A text with one block.
pub(crate) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let room = base64.len() + base64.len() / 64 + 2 * label.len() + 40;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(BEGIN);
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest: &str = &base64;
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// What the text has in place of a private key, as a clause.
pub(crate) fn without_key(blocks: &[Block<'_>]) -> &'static str {
    let has = |label: &str| blocks.iter().any(|block| block.label.ends_with(label));
    if has("ENCRYPTED PRIVATE KEY") {
        "is encrypted; give it decrypted (`openssl pkey -in key.pem`)"
    } else if has("OPENSSH PRIVATE KEY") {
        "is in the form of OpenSSH; give it as PKCS#8 (`ssh-keygen -p -m PKCS8`)"
    } else if has("PUBLIC KEY") {
        "is a public key; give the private one"
    } else if has(CERTIFICATE) {
        "is a certificate; give the private key, beside it or alone"
    } else {
        "has no private key in it"
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Block")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Fault {
    /// A clause for a message, without anything of the text.
    pub(crate) fn as_clause(self) -> &'static str {
        match self {
            Self::CutOff => "is cut off: a block of it has no last line",
            Self::Garbled => "is garbled or cut off: a block of it is not base64",
            Self::Encrypted => "is encrypted; give it decrypted (`openssl pkey -in key.pem`)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, blocks, write};

    #[test]
    fn blocks_are_read_as_they_were_written_between_any_comments() {
        // H2
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let der = vec![7; length];
            let text = format!(
                "comment\n{}\r\nbetween{}",
                *write("A KEY", &der),
                *write("B", b"b")
            );
            let found = blocks(&text).unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!((found[0].label, &found[0].der[..]), ("A KEY", &der[..]));
            assert_eq!((found[1].label, &found[1].der[..]), ("B", &b"b"[..]));
        }
        assert!(blocks("no block").unwrap().is_empty());
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_no_key() {
        // H2
        let text = write("PRIVATE KEY", &[1; 100]);
        let text = text.trim_end();
        for cut in 1..text.len() {
            match blocks(&text[..cut]) {
                Ok(found) => assert!(found.is_empty(), "{cut}"),
                Err(fault) => assert_eq!(fault, Fault::CutOff, "{cut}"),
            }
        }
        let garbled = text.replace("AQEB", "AQ!B");
        assert_eq!(blocks(&garbled).unwrap_err(), Fault::Garbled);
    }
}
