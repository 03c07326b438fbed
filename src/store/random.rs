//! What is told apart by 128 random bits: the versions of records, and the owners of leases.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::Error;

/// The version of a record: 128 random bits, new with each save.
///
/// Not a counter: after a sign-out and a new sign-in a counter begins anew, and a process that was
/// asleep meanwhile would find the very number that it expects. `Display` is 32 hexadecimal digits,
/// which [`FromStr`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(
    // No number: that would be aligned to 16 bytes, and so would whatever has a version (G3).
    [u8; 16],
);

impl Version {
    /// A version that nobody has seen.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn random() -> Result<Self, Error> {
        random_bytes().map(Self)
    }

    /// The version of bytes whose own version cannot be read: a digest of them.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut version = [0; 16];
        for (byte, digested) in version.iter_mut().zip(Sha256::digest(bytes)) {
            *byte = digested;
        }
        Self(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Version({self})")
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let well_formed = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = well_formed.then(|| u128::from_str_radix(text, 16).ok());
        let version = bits.flatten().map(|bits| Self(bits.to_be_bytes()));
        version.ok_or_else(|| {
            Error::store("a version has 32 hexadecimal digits, and this text has not")
        })
    }
}

/// The right of one owner to refresh the tokens of one key, for a while.
#[derive(Clone)]
pub struct Lease {
    owner: u128,
    duration: Duration,
}

impl Lease {
    /// A lease for a new owner that lasts this long after each time that it is taken or renewed.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn new(duration: Duration) -> Result<Self, Error> {
        let owner = u128::from_be_bytes(random_bytes()?);
        Ok(Self { owner, duration })
    }

    /// What tells this owner from all others, in all processes: 32 hexadecimal digits.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{:032x}", self.owner)
    }

    pub(super) fn has_owner_of(&self, other: &Self) -> bool {
        self.owner == other.owner
    }

    /// How long it lasts without being renewed.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Lease")
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

fn random_bytes() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::store("the operating system gives no random numbers").with_source(error)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn a_version_is_read_as_it_is_written_and_nothing_else_is_one() {
        let version = Version::random().unwrap();
        assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        assert_ne!(version, Version::random().unwrap());
        for bad in [
            "",
            "0",
            "g0000000000000000000000000000000",
            "+0000000000000000000000000000000",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }
}
