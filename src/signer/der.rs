//! The little of DER (X.690) that keys need beside the library that parses them: which kind of key it is,
//! for messages that say so, and RSA keys of JWKs in the form that the library reads.

use zeroize::Zeroizing;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Takes the next value, which has to be of this tag, and returns its contents.
pub(crate) fn take<'der>(input: &mut &'der [u8], tag: u8) -> Option<&'der [u8]> {
    let (found, rest) = input.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        // Longer than 64 KiB is no key.
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some(contents)
}

/// The two numbers of a sequence that has nothing else, each with so many bytes.
pub(crate) fn two_integers(mut input: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut numbers = take(&mut input, SEQUENCE)?;
    let mut both = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let number = without_zeros(take(&mut numbers, INTEGER)?);
        let zeros = length.checked_sub(number.len())?;
        both.resize(both.len() + zeros, 0);
        both.extend_from_slice(number);
    }
    (input.is_empty() && numbers.is_empty()).then_some(both)
}

/// A sequence of these numbers, none of which is negative.
pub(crate) fn sequence_of_integers(numbers: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    // Room for all of it, so that nothing grows and leaves a copy behind.
    let room = numbers.iter().map(|number| number.len() + 6).sum::<usize>() + 4;
    let mut contents = Zeroizing::new(Vec::with_capacity(room));
    for number in numbers {
        let number = without_zeros(number);
        // A first bit that is set would be a sign; zero itself has one byte.
        let has_sign_byte = number.first().is_none_or(|first| first & 0x80 != 0);
        head(
            &mut contents,
            INTEGER,
            number.len() + usize::from(has_sign_byte),
        );
        if has_sign_byte {
            contents.push(0);
        }
        contents.extend_from_slice(number);
    }
    let mut sequence = Zeroizing::new(Vec::with_capacity(room + 4));
    head(&mut sequence, SEQUENCE, contents.len());
    sequence.extend_from_slice(&contents);
    sequence
}

pub(crate) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn head(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    let bytes = length.to_be_bytes();
    let bytes = without_zeros(&bytes);
    if length >= 0x80 {
        // At most 8, since a length is a `usize`.
        out.push(0x80 | u8::try_from(bytes.len()).unwrap_or_default());
    }
    if length == 0 {
        out.push(0);
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::{INTEGER, SEQUENCE, sequence_of_integers, take};

    #[test]
    fn numbers_are_read_as_they_were_written_whatever_their_length() {
        // H2
        for length in [1, 127, 128, 255, 256, 1000] {
            for first in [0x01, 0x80] {
                let mut number = vec![0xab; length];
                number[0] = first;
                let der = sequence_of_integers(&[&[], &number]);
                let mut rest: &[u8] = &der;
                let mut contents = take(&mut rest, SEQUENCE).unwrap();
                assert!(rest.is_empty());
                assert_eq!(take(&mut contents, INTEGER).unwrap(), [0]);
                let read = take(&mut contents, INTEGER).unwrap();
                assert_eq!(super::without_zeros(read), number);
                assert!(read[0] < 0x80, "it would be negative");
            }
        }
    }
}
