//! [`reqwest-bearer`](reqwest_bearer) under the streamable HTTP client of [`rmcp`], the MCP SDK.
//!
//! ```no_run
//! # async fn run(grant: impl reqwest_bearer::Grant) -> Result<(), Box<dyn std::error::Error>> {
//! use reqwest_bearer::NamedClient;
//! use reqwest_bearer_rmcp::{McpHttpClient, http_client_builder};
//! use rmcp::ServiceExt;
//!
//! let url = "https://notes.example.com/mcp";
//! let client = NamedClient::builder("notes", url, grant)
//!     .client_with_own_redirects(http_client_builder().build()?)
//!     .build()?;
//! let notes = ().serve(McpHttpClient::from(&client).transport(url)).await?;
//! println!("{:?}", notes.list_all_tools().await?);
//! # Ok(())
//! # }
//! ```
//!
//! [`McpHttpClient`] sends what rmcp's transport wants sent, through the middleware of `reqwest-bearer`. So a
//! token is refreshed ahead of its expiry and once for all calls, a call that is answered with 401 goes out
//! again with the next token, and no token leaves the origin that it is for. A user's session works the same
//! way: the client is then [`NamedUserClient::for_subject`](reqwest_bearer::NamedUserClient::for_subject).
//!
//! rmcp's own errors say what a program can do, as with rmcp's own OAuth:
//!
//! | what happened | what rmcp's caller gets |
//! |---|---|
//! | the user has to sign in (again) | [`AuthRequired`](rmcp::transport::streamable_http_client::StreamableHttpError::AuthRequired) with the server's challenge, or with `Bearer` where the server was not asked |
//! | the token has too little scope | [`InsufficientScope`](rmcp::transport::streamable_http_client::StreamableHttpError::InsufficientScope) with the scope that the challenge names |
//! | the token could not be got for now | [`Client`](rmcp::transport::streamable_http_client::StreamableHttpError::Client), in which [`Error::find_in`](reqwest_bearer::Error::find_in) finds the reason |
//! | the MCP session has expired | [`SessionExpired`](rmcp::transport::streamable_http_client::StreamableHttpError::SessionExpired), which rmcp answers by a new `initialize` |

mod answer;
mod body;
mod client;
mod discovery;
mod events;
mod http_client;
mod refusal;

pub use client::McpHttpClient;
pub use http_client::http_client_builder;

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
