//! What every request passes: is it meant for us, whose session is it, whose tokens does it use.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::application::{App, Application};
use crate::fault::Fault;
use crate::pages;
use crate::session::{SessionId, SignedIn, cookie};
use crate::sign_in::path_of_sign_in;

/// A middleware of axum for all pages.
pub(crate) async fn gate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let refusal = refuse(&app, &request);
    let wanted = path_to_come_back_to(&request);
    let session = cookie::read(request.headers(), &app.public);
    let signed_in = session.as_ref().and_then(|id| app.sessions.signed_in(id));
    request.extensions_mut().insert(Visitor {
        session,
        signed_in: signed_in.clone(),
    });

    let mut answer = match (refusal, &signed_in) {
        (Some(refusal), _) => refusal,
        // From here on, each call of a named client goes out with the tokens of this session.
        (None, Some(signed_in)) => signed_in.tokens_of.run(next.run(request)).await,
        (None, None) => next.run(request).await,
    };

    match answer.extensions_mut().remove() {
        Some(Fault::SignInRequired) => answer = send_to_sign_in(&app, signed_in, &wanted).await,
        Some(Fault::Page(explanation)) => {
            let user = signed_in.as_ref().map(|signed_in| &signed_in.user);
            let page = pages::fault(&explanation, user);
            answer = (explanation.status, page).into_response();
        }
        None => {}
    }
    protect(&mut answer);
    answer
}

/// What does not come from our own pages, or was meant for another host.
fn refuse(app: &Application, request: &Request) -> Option<Response> {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_read = request.method() == Method::GET || request.method() == Method::HEAD;
    if header(HOST) != Some(app.public.host().as_bytes()) {
        // Such as `localhost` for 127.0.0.1: the cookie and the redirect URI are for one of them.
        return Some(if is_read {
            let path = path_to_come_back_to(request);
            Redirect::temporary(&app.public.at(&path)).into_response()
        } else {
            StatusCode::MISDIRECTED_REQUEST.into_response()
        });
    }
    // Browsers send `Origin` with each form. Together with the cookie's `SameSite` no foreign page
    // can press our buttons.
    let is_ours = header(ORIGIN) == Some(app.public.origin().as_bytes());
    if !is_read && !is_ours {
        let fault = Fault::page(
            StatusCode::FORBIDDEN,
            "This did not come from one of our pages",
            "Nothing was done.",
        );
        return Some(fault.into_response());
    }
    None
}

/// After the sign-in the page is asked for again, but no button is pressed again.
fn path_to_come_back_to(request: &Request) -> String {
    match (request.method(), request.uri().path_and_query()) {
        (&Method::GET, Some(path)) => path.as_str().to_owned(),
        _ => "/".to_owned(),
    }
}

/// Ends the session if there is one, because its tokens are dead.
async fn send_to_sign_in(app: &Application, signed_in: Option<SignedIn>, wanted: &str) -> Response {
    let mut answer = Redirect::to(&path_of_sign_in(wanted)).into_response();
    if let Some(SignedIn {
        session, tokens_of, ..
    }) = signed_in
    {
        // What the provider could not be told, the events have.
        let _ = app.users.sign_out(&tokens_of).await;
        app.sessions.end(&session);
        if let Ok(cookie) = cookie::take_away(&app.public) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    answer
}

fn protect(answer: &mut Response) {
    let headers = answer.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // `no-referrer` would make browsers send `Origin: null` with our own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// Who asks, as far as the gate knows.
#[derive(Clone)]
pub(crate) struct Visitor {
    /// What the cookie says, whether or not there is such a session.
    pub(crate) session: Option<SessionId>,
    pub(crate) signed_in: Option<SignedIn>,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let visitor = parts.extensions.get::<Self>();
        visitor
            .cloned()
            .ok_or_else(|| Fault::ours("the page stands outside the gate"))
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        visitor.signed_in.ok_or(Fault::SignInRequired)
    }
}
