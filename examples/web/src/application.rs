//! What all request handlers share.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::{NamedUserClient, TokenEndpoint, UserSessions};

use crate::activity::Activity;
use crate::open_id::OpenId;
use crate::public_url::PublicUrl;
use crate::registration::Registration;
use crate::session::Sessions;

/// How often sessions whose time is over are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// A handle of the application, as handlers get it.
pub(crate) type App = Arc<Application>;

/// The users, their sessions, and the API that is called for them.
pub(crate) struct Application {
    pub(crate) public: PublicUrl,
    pub(crate) sessions: Sessions,
    pub(crate) open_id: OpenId,
    /// Of the provider, for what is asked of it by hand.
    pub(crate) endpoint: TokenEndpoint,
    /// The tokens of all users.
    pub(crate) users: UserSessions,
    /// The API.
    pub(crate) orders: NamedUserClient,
    /// What is asked of the API.
    pub(crate) call: String,
    pub(crate) activity: Arc<Activity>,
}

impl Application {
    /// Asks nobody: the provider may still be down.
    ///
    /// # Errors
    /// If a setting is wrong.
    pub(crate) fn new(
        public: PublicUrl,
        registration: Registration,
        api: &str,
        call: String,
    ) -> Result<App, Box<dyn Error>> {
        let activity = Arc::new(Activity::default());
        let watch = activity.clone();
        let endpoint =
            TokenEndpoint::discover(&registration.issuer, registration.authentication())?;
        let users = UserSessions::builder(&endpoint)
            .name("users")
            .on_event(move |event| watch.note(event))
            .build()?;
        let orders = NamedUserClient::new("orders", api, &users)?;
        let open_id = OpenId::new(registration, public.at("/signed-in"))?;
        Ok(Arc::new(Self {
            public,
            sessions: Sessions::default(),
            open_id,
            endpoint,
            users,
            orders,
            call,
            activity,
        }))
    }

    /// Signs out whose session is over, without end.
    pub(crate) async fn sweep(&self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            for over in self.sessions.take_those_over() {
                // What the provider could not be told, the events have.
                let _ = self.users.sign_out(&over.tokens_of).await;
            }
        }
    }
}
