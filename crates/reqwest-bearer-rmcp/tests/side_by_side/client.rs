//! An MCP client for one signed-in user, with one way or the other to get its tokens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest_bearer::TokenSet;
use rmcp::RoleClient;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig,
};

use crate::ours::Ours;
use crate::support::soon;
use crate::theirs;

/// Who gets the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// rmcp's `AuthClient` over a `CredentialStore` that keeps a file.
    Theirs,
    /// The same, with a `CredentialStore` that also locks the file for each refresh.
    TheirsLocked,
    /// `McpHttpClient` over a `FileStore`.
    Ours,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Theirs, Self::TheirsLocked, Self::Ours];

    pub(crate) fn named(name: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.to_string() == name).expect("a kind")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Theirs => "rmcp",
            Self::TheirsLocked => "rmcp, store with a refresh guard",
            Self::Ours => "reqwest-bearer-rmcp",
        })
    }
}

/// Where everything is that a client needs.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) mcp: String,
    pub(crate) token_url: String,
    pub(crate) file: PathBuf,
    pub(crate) disk: Disk,
}

/// The disk that a store writes to, which can be full.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<AtomicBool>);

impl Disk {
    pub(crate) fn set_full(&self, is_full: bool) {
        self.0.store(is_full, Ordering::SeqCst);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    Well,
    SignInRequired,
    Failed,
}

pub(crate) struct Client {
    session: RunningService<RoleClient, ()>,
    ours: Option<Ours>,
}

/// Leaves in the file what the user's sign-in brought.
pub(crate) async fn sign_in(kind: Kind, place: &Place, tokens: TokenSet) {
    match kind {
        Kind::Ours => Ours::new(place).sign_in(tokens).await,
        Kind::Theirs | Kind::TheirsLocked => theirs::sign_in(place, &tokens).await,
    }
}

impl Client {
    /// `None` if the server wants no session to begin.
    pub(crate) async fn start(kind: Kind, place: &Place) -> Option<Self> {
        match kind {
            Kind::Ours => {
                let ours = Ours::new(place);
                let session = begin(ours.http(place), place).await?;
                let ours = Some(ours);
                Some(Self { session, ours })
            }
            Kind::Theirs | Kind::TheirsLocked => {
                let http = theirs::http(place, kind == Kind::TheirsLocked).await;
                let session = begin(http, place).await?;
                Some(Self {
                    session,
                    ours: None,
                })
            }
        }
    }

    pub(crate) async fn call(&self) -> Called {
        match soon(self.session.call_tool(CallToolRequestParams::new("echo"))).await {
            Ok(_) => Called::Well,
            Err(error) => called(&error),
        }
    }

    /// A message that is not a call of a tool.
    pub(crate) async fn list(&self) -> Called {
        match soon(self.session.list_all_tools()).await {
            Ok(_) => Called::Well,
            Err(error) => called(&error),
        }
    }

    /// As a process does that is asked to end.
    pub(crate) async fn end(self) {
        let _ = self.session.cancel().await;
        if let Some(ours) = self.ours {
            ours.shut_down().await;
        }
    }
}

fn called(error: &ServiceError) -> Called {
    if error.is_authorization_required() {
        Called::SignInRequired
    } else {
        Called::Failed
    }
}

async fn begin<C: StreamableHttpClient + Sync>(
    http: C,
    place: &Place,
) -> Option<RunningService<RoleClient, ()>> {
    let settings = StreamableHttpClientTransportConfig::with_uri(place.mcp.as_str())
        .max_concurrent_requests(64);
    let transport = StreamableHttpClientTransport::with_client(http, settings);
    soon(().serve(transport)).await.ok()
}

/// A file beside the other one.
pub(crate) fn beside(file: &Path, extension: &str) -> PathBuf {
    file.with_extension(extension)
}
