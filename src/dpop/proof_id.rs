//! The `jti` of proofs.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::random_id::random_id;

/// Makes ids that no two proofs of a key have in common, in whichever processes they are made (RFC 9449
/// section 4.2): 128 random bits of this copy of the key, and the number of the proof. Drawn anew for each
/// proof, they would cost a good part of a call.
#[derive(Default)]
pub(crate) struct ProofIds {
    drawn: OnceLock<String>,
    made: AtomicU64,
}

impl ProofIds {
    /// The next one.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub(crate) fn next(&self) -> Result<String, Error> {
        let drawn = match self.drawn.get() {
            Some(drawn) => drawn,
            None => {
                let drawn = random_id()?;
                self.drawn.get_or_init(|| drawn)
            }
        };
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        // Room for the largest number, so that it does not grow.
        let mut id = String::with_capacity(drawn.len() + 1 + 16);
        id.push_str(drawn);
        // Into a text: nothing of it fails.
        let _ = write!(id, ".{number:x}");
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::thread;

    use super::ProofIds;

    #[test]
    fn no_two_proofs_have_an_id_in_common() {
        // H5
        let copies: Vec<_> = (0..3).map(|_| Arc::new(ProofIds::default())).collect();
        let threads: Vec<_> = copies
            .iter()
            .cycle()
            .take(6)
            .cloned()
            .map(|ids| thread::spawn(move || (0..1_000).map(|_| ids.next().unwrap()).collect()))
            .collect();
        let made: Vec<String> = threads
            .into_iter()
            .flat_map(|thread| -> Vec<String> { thread.join().unwrap() })
            .collect();
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), 6_000);
        // Of the random part alone there is one for each copy.
        let drawn: HashSet<_> = made
            .iter()
            .map(|id| id.split_once('.').unwrap().0)
            .collect();
        assert_eq!(drawn.len(), 3);
        assert!(drawn.iter().all(|drawn| drawn.len() == 22), "{drawn:?}");
    }
}
