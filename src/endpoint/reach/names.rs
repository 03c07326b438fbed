//! The addresses of names, each looked at before a connection is made to it.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Leaves out the addresses that may not be asked. It is the one place where that can be known: a name that
/// is looked up twice may have another address the second time.
pub(super) struct Judged {
    resolver: Option<Arc<dyn Resolve>>,
    admits: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// A name has addresses, and none that may be asked.
#[derive(Debug)]
struct Refused;

impl Judged {
    pub(super) fn new(
        resolver: Option<Arc<dyn Resolve>>,
        admits: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            resolver,
            admits: Arc::new(admits),
        }
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let admits = Arc::clone(&self.admits);
        let found = match &self.resolver {
            Some(resolver) => resolver.resolve(name),
            None => by_the_machine(name),
        };
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            let had_some = !found.is_empty();
            let admitted: Vec<_> = found
                .into_iter()
                .filter(|address| admits(address.ip()))
                .collect();
            if had_some && admitted.is_empty() {
                return Err(Box::new(Refused) as Box<dyn StdError + Send + Sync>);
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// The operating system's own way, which blocks.
fn by_the_machine(name: Name) -> Resolving {
    Box::pin(async move {
        let looking = move || (name.as_str(), 0).to_socket_addrs();
        let found = tokio::task::spawn_blocking(looking).await??;
        Ok(Box::new(found) as Addrs)
    })
}

/// Whether no connection was made because of the addresses of the name.
pub(crate) fn has_refused(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<Refused>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name has no address that may be asked")
    }
}

impl StdError for Refused {}
