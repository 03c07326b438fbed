//! Bytes with secrets in them that are gathered bit by bit: no copy of them stays behind in freed memory.

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod search;

use std::fmt;
use std::io::{self, Write};
use std::ops::Deref;

use zeroize::Zeroizing;

/// Room for a token answer or a record of usual size, so that most never have to grow.
const USUAL: usize = 4096;

/// A growing buffer that is wiped when it goes, and so is each block that it has outgrown. (A vector
/// frees those as they are.)
#[derive(Default)]
pub(crate) struct WipingBuffer(Zeroizing<Vec<u8>>);

impl WipingBuffer {
    /// With room for so many bytes.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            drop(self.grow(needed));
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Moves to a block of at least this size; the old one is returned, and is wiped when it goes.
    fn grow(&mut self, needed: usize) -> Zeroizing<Vec<u8>> {
        let capacity = needed.max(2 * self.0.capacity()).max(USUAL);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(&self.0);
        std::mem::replace(&mut self.0, larger)
    }
}

impl Write for WipingBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Deref for WipingBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WipingBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WipingBuffer")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{USUAL, WipingBuffer};

    #[test]
    fn bytes_are_gathered_in_order_whatever_their_number() {
        for parts in [[0, 0, 1], [1, USUAL - 1, 1], [USUAL, 3 * USUAL, 100_000]] {
            let mut buffer = WipingBuffer::default();
            let mut expected = Vec::new();
            for (number, length) in (1..).zip(parts) {
                buffer.write_all(&vec![number; length]).unwrap();
                expected.extend(vec![number; length]);
            }
            assert_eq!(*buffer, *expected);
            assert_eq!(*buffer.into_inner(), expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_buffer_that_has_grown_leaves_nothing_of_itself_behind() {
        // D6
        use super::search::{copies_of, unheard_of};
        let text = unheard_of();
        let mut buffer = WipingBuffer::with_capacity(64);
        for _ in 0..200 {
            buffer.push(text.as_bytes());
        }
        assert!(copies_of(&text) >= 200);
        drop(buffer);
        assert_eq!(copies_of(&text), 1);
    }
}
