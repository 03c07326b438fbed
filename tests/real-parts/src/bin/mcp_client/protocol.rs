//! What the protocol has beside the client's identity: messages, and what has changed between its versions.

use std::env;

use reqwest::header::ACCEPT;
use reqwest::{Response, Url};
use reqwest_bearer::reqwest_middleware::RequestBuilder;
use reqwest_bearer::{BearerChallenge, Error, ProtectedResource};
use serde_json::{Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2025-03-26: no protected resource metadata yet.
    First,
    /// Those that begin with `initialize`.
    Dated,
    /// 2026-07-28: each request says all of itself.
    Stateless,
}

const FIRST: &str = "2025-03-26";
const STATELESS: &str = "2026-07-28";
const VERSION_HEADER: &str = "mcp-protocol-version";

fn wanted() -> String {
    env::var("MCP_CONFORMANCE_PROTOCOL_VERSION").unwrap_or_default()
}

impl Version {
    pub(crate) fn from_environment() -> Self {
        match wanted().as_str() {
            FIRST => Self::First,
            STATELESS => Self::Stateless,
            _ => Self::Dated,
        }
    }

    /// What is to be said, one message after the other.
    pub(crate) fn conversation(self) -> Vec<Value> {
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        let call = json!({
            "jsonrpc": "2.0",
            "id": 3,
            "method": "tools/call",
            "params": { "name": "test-tool", "arguments": {} },
        });
        if self == Self::Stateless {
            return [list, call].map(with_meta).into();
        }
        let initialize = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": wanted(),
                "capabilities": {},
                "clientInfo": client_info(),
            },
        });
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        vec![initialize, initialized, list, call]
    }

    /// The headers of a message.
    pub(crate) fn dress(self, request: RequestBuilder, message: &Value) -> RequestBuilder {
        let request = request.header(ACCEPT, "application/json, text/event-stream");
        if self != Self::Stateless {
            return request;
        }
        let method = message["method"].as_str().unwrap_or_default();
        let request = request
            .header(VERSION_HEADER, wanted())
            .header("mcp-method", method);
        match message["params"]["name"].as_str() {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// The MCP server as a protected resource, by the challenge of this answer.
    pub(crate) fn resource(
        self,
        server: &Url,
        answer: &Response,
    ) -> Result<ProtectedResource, Error> {
        let mut resource = ProtectedResource::builder(server);
        if let Some(challenge) = BearerChallenge::find_in(answer) {
            resource = resource.challenge(&challenge);
        }
        if self == Self::First {
            resource = resource.own_origin_without_metadata();
        }
        resource.build()
    }
}

fn with_meta(mut message: Value) -> Value {
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": wanted(),
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": client_info(),
    });
    message
}

fn client_info() -> Value {
    json!({ "name": "reqwest-bearer", "version": env!("CARGO_PKG_VERSION") })
}
