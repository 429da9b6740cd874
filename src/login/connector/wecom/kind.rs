//! `[connector.ID.wecom]` as a kind of connector.

use std::sync::Arc;

use url::Url;

use super::super::{App, BuildError, Connector, ConnectorConfig, Deps, Features, Kind, Problem};
use super::{Config, MAPPING, Scope, WeCom};
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::Place;

const NAME: &str = "wecom";

/// Every WeCom client says `wxwork/`, that of a private deployment too.
const APP: App = App {
    name: NAME,
    user_agents: &["wxwork/"],
};

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(Place<'_>, &SecretSource)> {
        vec![(Place::of([NAME, "secret"]), &self.secret)]
    }

    fn problems(&self, _connector: &ConnectorConfig, _external_url: &Url) -> Vec<Problem<'_>> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<(Place<'_>, String)> {
        if self.api_base.scheme() == "https" {
            return Vec::new();
        }
        let text = "the secret and everybody's data travel in plain http";
        vec![(Place::of([NAME, "api_base"]), text.to_owned())]
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            app: Some(APP),
            forced_mode: self.mode.forced(),
            // The client shows nothing, except for a scope that its member must grant.
            silent_in: match self.scope {
                Scope::Base => &[Mode::InApp],
                Scope::PrivateInfo => &[],
            },
            silent_by: "WeCom can be inside its own client only, by mode \"auto\" or \"in-app\" and \
                        scope \"snsapi_base\"",
            ..Features::default()
        }
    }

    fn build(&self, deps: Deps) -> Result<Arc<dyn Connector>, BuildError> {
        Ok(Arc::new(WeCom::build(self, deps)?))
    }
}
