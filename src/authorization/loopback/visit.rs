//! One connection to a loopback receiver: it is heard, answered and closed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use crate::authorization::loopback::page::Page;
use crate::authorization::loopback::request::{Address, Asked};
use crate::error::Error;
use crate::secret::Secret;
use crate::wiping::WipingBuffer;

/// How long a connection is heard that says nothing, or too little: browsers open some ahead of time.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// A redirect of 32 KiB, and as much for what a browser says besides.
const LARGEST_HEAD: usize = 64 * 1024;

type Outcome = Result<Secret, Error>;

/// The right to end the wait, which one redirect has.
pub(super) struct Claim(Mutex<Option<oneshot::Sender<Outcome>>>);

impl Claim {
    pub(super) fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    fn take(&self) -> Option<oneshot::Sender<Outcome>> {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.take()
    }
}

/// Tells the claim what the redirect brought when it goes: also where the browser has hung up, or does not
/// take the page.
struct Claimed(Option<(oneshot::Sender<Outcome>, Outcome)>);

impl Drop for Claimed {
    fn drop(&mut self) {
        if let Some((sender, outcome)) = self.0.take() {
            // Nobody waits any more if the wait was given up.
            let _ = sender.send(outcome);
        }
    }
}

/// Answers one request. `judge` says what a query brings; `None` if it is not of this sign-in.
pub(super) async fn visit(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    address: Address,
    judge: impl Fn(&str) -> Option<Outcome>,
    claim: Arc<Claim>,
) {
    let Some((page, claimed)) = hear(&mut socket, &address, &judge, &claim).await else {
        return;
    };
    // The page is on its way before the program goes on, and perhaps ends.
    let _ = socket.write_all(&page.answer()).await;
    let _ = socket.shutdown().await;
    drop(claimed);
    // A body that is left unread would cut the answer off.
    let mut rest = socket.take(LARGEST_HEAD as u64);
    let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
}

/// What to answer; `None` if there is nobody to answer.
async fn hear(
    socket: &mut (impl AsyncRead + Unpin),
    address: &Address,
    judge: &impl Fn(&str) -> Option<Outcome>,
    claim: &Claim,
) -> Option<(Page, Claimed)> {
    // The code is in it.
    let mut head = WipingBuffer::with_capacity(4 * 1024);
    let mut piece = zeroize::Zeroizing::new([0; 4 * 1024]);
    let nothing = |page| Some((page, Claimed(None)));
    loop {
        let length = match socket.read(&mut *piece).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => length,
        };
        if head.len() + length > LARGEST_HEAD {
            return nothing(Page::TooLarge);
        }
        head.push(&piece[..length]);
        let query = match address.read(&head) {
            Asked::More => continue,
            Asked::Unreadable => return nothing(Page::Unreadable),
            Asked::OtherPath => return nothing(Page::NotFound),
            Asked::OtherMethod { is_head } => return nothing(Page::WrongMethod { is_head }),
            Asked::NotTheUser => return nothing(Page::NotTheUser),
            Asked::Redirect(query) => query,
        };
        let Some(outcome) = judge(query) else {
            return nothing(Page::NotThisSignIn);
        };
        let Some(sender) = claim.take() else {
            return nothing(Page::Again);
        };
        let page = match outcome {
            Ok(_) => Page::Received,
            Err(_) => Page::Refused,
        };
        return Some((page, Claimed(Some((sender, outcome)))));
    }
}
