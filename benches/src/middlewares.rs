//! The middlewares that ours is measured beside, each as somebody would write it by hand.

use std::collections::HashMap;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderValue};
use reqwest::{Request, Response, ResponseBuilderExt};
use reqwest_bearer::Subject;
use reqwest_middleware::{Middleware, Next, Result};
use tokio::sync::RwLock;

use crate::token_text;

/// The last of every chain: answers 200 without a network.
///
/// The answer names the URL of the request, as one from a network does. Without it ours would take
/// the answer for one from another origin, and the bench would leave out what a success costs.
pub struct Canned;

/// The zero of the scale: what any middleware costs.
pub(crate) struct DoNothing;

/// The limit for a client that cannot send a request again.
pub(crate) struct ConstantHeader(pub(crate) HeaderValue);

/// The limit for a client that can.
pub(crate) struct ConstantHeaderAndCopy(pub(crate) HeaderValue);

/// What is written by hand most often.
pub(crate) struct HandWritten(pub(crate) RwLock<String>);

/// The least that somebody would write by hand for many users.
pub(crate) struct HeadersByHand(std::sync::RwLock<HashMap<Subject, HeaderValue>>);

impl HeadersByHand {
    pub(crate) fn of(sessions: impl Iterator<Item = Subject>) -> Self {
        let with_header = |session| {
            let header = HeaderValue::try_from(format!("Bearer {}", token_text()));
            (session, header.expect("it is made of letters"))
        };
        Self(std::sync::RwLock::new(sessions.map(with_header).collect()))
    }
}

#[async_trait]
impl Middleware for Canned {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let answer = http::Response::builder()
            .url(request.url().clone())
            .body("")
            .expect("no part of it was given as text");
        Ok(Response::from(answer))
    }
}

#[async_trait]
impl Middleware for DoNothing {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        next.run(request, extensions).await
    }
}

#[async_trait]
impl Middleware for ConstantHeader {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}

#[async_trait]
impl Middleware for ConstantHeaderAndCopy {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let copy = request.try_clone();
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        let response = next.clone().run(request, extensions).await?;
        match copy {
            Some(copy) if response.status() == 401 => next.run(copy, extensions).await,
            _ => Ok(response),
        }
    }
}

#[async_trait]
impl Middleware for HandWritten {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let copy = request.try_clone();
        let token = self.0.read().await.clone();
        let header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(reqwest_middleware::Error::middleware)?;
        request.headers_mut().insert(AUTHORIZATION, header);
        let response = next.clone().run(request, extensions).await?;
        match copy {
            Some(copy) if response.status() == 401 => next.run(copy, extensions).await,
            _ => Ok(response),
        }
    }
}

#[async_trait]
impl Middleware for HeadersByHand {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let copy = request.try_clone();
        let header = {
            let headers = self.0.read().expect("nobody panics with it");
            let session = extensions.get::<Subject>().expect("each call has one");
            headers[session].clone()
        };
        request.headers_mut().insert(AUTHORIZATION, header);
        let response = next.clone().run(request, extensions).await?;
        match copy {
            Some(copy) if response.status() == 401 => next.run(copy, extensions).await,
            _ => Ok(response),
        }
    }
}
