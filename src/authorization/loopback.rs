//! The redirect of a sign-in, received by a command-line program (RFC 8252 section 7.3).

mod page;
mod request;
mod visit;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::authorization::loopback::request::Address;
use crate::authorization::loopback::visit::{Claim, LONGEST, visit};
use crate::authorization::pending::{PendingAuthorization, too_late};
use crate::endpoint::TokenEndpoint;
use crate::error::{Error, ErrorKind, HowFar};
use crate::origin::has_userinfo;
use crate::secret::Secret;
use crate::token_set::TokenSet;

/// So many connections are heard at once; the others wait until one of these has ended.
const MOST_VISITS: usize = 32;

/// How long to wait when the operating system has no room for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits on this machine for the redirect that ends a sign-in in the user's browser: for command-line
/// programs, whose client at the server has a loopback redirect URI (RFC 8252 section 7.3).
///
/// ```no_run
/// # async fn example(endpoint: reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{AuthorizationRequest, LoopbackReceiver};
///
/// let receiver = LoopbackReceiver::bind("http://127.0.0.1/callback").await?;
/// let request = AuthorizationRequest::new(receiver.redirect_uri()).scope("openid offline_access");
/// let (url, pending) = request.start(&endpoint).await?;
/// println!("Open this page in your browser: {url}");
/// let tokens = receiver.finish(&endpoint, &pending).await?;
/// # Ok(()) }
/// ```
///
/// It takes one redirect: the first that answers this request. Whatever else comes to the port (a browser
/// that asks for an icon, another page that guesses, another `state` or issuer, half a request, `HEAD`) gets
/// a small page that says so, and ends nothing. The page for the user takes the code out of the browser's
/// address bar and history, and sends it nowhere.
#[derive(Debug)]
pub struct LoopbackReceiver {
    listener: TcpListener,
    redirect_uri: String,
    address: Address,
}

impl LoopbackReceiver {
    /// Listens at this redirect URI, as it is registered at the server: `http`, a loopback address, a path.
    /// Without a port the operating system chooses one, which servers have to allow (RFC 8252 section 7.3);
    /// for those that do not, give the port.
    ///
    /// `127.0.0.1` and `[::1]` are what it says. `localhost` is for servers that allow nothing else: it
    /// listens at `127.0.0.1`, and another program of this machine may have the name's other address
    /// (section 8.3).
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if it is no such URI, or the port is taken.
    pub async fn bind(redirect_uri: impl AsRef<str>) -> Result<Self, Error> {
        let (url, ip) = loopback(redirect_uri.as_ref())?;
        let port = url.port().unwrap_or_default();
        let listener = TcpListener::bind(SocketAddr::new(ip, port)).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let (port, listener) = bound.map_err(|error| {
            Error::settings("the port of the redirect URI cannot be listened at")
                .got(HowFar::NotSent)
                .with_source(error)
        })?;
        let host = url.host_str().unwrap_or_default();
        let address = Address {
            authority: format!("{host}:{port}"),
            path: url.path().to_owned(),
        };
        Ok(Self {
            listener,
            redirect_uri: format!("http://{}{}", address.authority, address.path),
            address,
        })
    }

    /// The redirect URI with its port: for [`AuthorizationRequest::new`](crate::AuthorizationRequest::new).
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the redirect of this request, shows the user that the window may be closed, and exchanges the
    /// code. Can be called once more, with another request, whatever became of the first; dropping the future
    /// loses nothing but the wait.
    ///
    /// # Errors
    /// As for [`PendingAuthorization::finish`]; there is none of the kind
    /// [`InvalidAuthorizationResponse`](crate::ErrorKind::InvalidAuthorizationResponse), since it waits on.
    /// [`SignInRequired`](crate::ErrorKind::SignInRequired) when the request has expired, which is 10 minutes
    /// after its start unless it says otherwise.
    pub async fn finish(
        &self,
        endpoint: &TokenEndpoint,
        pending: &PendingAuthorization,
    ) -> Result<TokenSet, Error> {
        pending.check_server(endpoint)?;
        let code = self.code(endpoint, pending).await?;
        pending.exchange(endpoint, code).await
    }

    async fn code(
        &self,
        endpoint: &TokenEndpoint,
        pending: &PendingAuthorization,
    ) -> Result<Secret, Error> {
        let clock = endpoint.clock();
        let left = pending.expires_at.duration_since(endpoint.now());
        let too_long = clock.sleep(left.unwrap_or_default());
        tokio::pin!(too_long);
        let (claim, mut claimed) = Claim::new();
        let claim = Arc::new(claim);
        // They end with this wait.
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                code = &mut claimed => return code.unwrap_or_else(|_| Err(too_late())),
                () = &mut too_long => return Err(too_late()),
                Some(_) = visits.join_next() => {}
                accepted = self.listener.accept(), if visits.len() < MOST_VISITS => match accepted {
                    Ok((socket, _)) => {
                        let judge = judge(pending.clone(), endpoint.clone());
                        let visit = visit(socket, self.address.clone(), judge, claim.clone());
                        let late = clock.clone();
                        visits.spawn(async move {
                            tokio::select! {
                                () = visit => {}
                                () = late.sleep(LONGEST) => {}
                            }
                        });
                    }
                    Err(_) => clock.sleep(PAUSE).await,
                },
            }
        }
    }
}

/// What a query is worth at the time at which it comes.
fn judge(
    pending: PendingAuthorization,
    endpoint: TokenEndpoint,
) -> impl Fn(&str) -> Option<Result<Secret, Error>> + Send + 'static {
    move |query| match pending.code_in(query, endpoint.now()) {
        Err(error) if error.kind() == ErrorKind::InvalidAuthorizationResponse => None,
        read => Some(read),
    }
}

/// The URI and the address to listen at.
fn loopback(redirect_uri: &str) -> Result<(Url, IpAddr), Error> {
    let fault = |fault: &str| {
        Error::settings(format!("the redirect URI of a loopback receiver {fault}"))
            .got(HowFar::NotSent)
    };
    let url = Url::parse(redirect_uri).map_err(|_| fault("is not an absolute URL"))?;
    if url.scheme() != "http" {
        return Err(fault(
            "is not http, which needs no certificate on this machine (RFC 8252 section 8.3)",
        ));
    }
    if has_userinfo(&url) || url.query().is_some() || url.fragment().is_some() {
        return Err(fault("has more than a host, a port and a path"));
    }
    let host = url.host_str().unwrap_or_default();
    let ip = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) if ip.is_loopback() => ip,
        Err(_) if host == "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return Err(fault("is neither `127.0.0.1` nor `[::1]` nor `localhost`")),
    };
    Ok((url, ip))
}

#[cfg(test)]
mod tests {
    use super::loopback;
    use crate::error::ErrorKind;

    #[test]
    fn only_this_machine_is_listened_at() {
        // I4
        for (uri, ip) in [
            ("http://127.0.0.1/callback", "127.0.0.1"),
            ("http://127.0.0.1:8400", "127.0.0.1"),
            ("http://127.1.2.3/", "127.1.2.3"),
            ("http://[::1]/callback", "::1"),
            ("http://localhost:8400/", "127.0.0.1"),
        ] {
            assert_eq!(loopback(uri).unwrap().1.to_string(), ip, "{uri}");
        }
        for uri in [
            "",
            "/callback",
            "127.0.0.1:8400",
            "https://127.0.0.1/callback",
            "com.example.app:/callback",
            "http://0.0.0.0/callback",
            "http://[::]/callback",
            "http://10.0.0.1/callback",
            "http://example.com/callback",
            "http://localhost.example.com/",
            "http://u:canary@127.0.0.1/",
            "http://127.0.0.1/?canary=x",
            "http://127.0.0.1/#canary",
        ] {
            let error = loopback(uri).expect_err(uri);
            assert_eq!(error.kind(), ErrorKind::Settings, "{uri}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
