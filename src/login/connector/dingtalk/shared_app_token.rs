//! Shares the token of the DingTalk application with other programs.

use async_trait::async_trait;

use super::super::{ConnectorError, CurrentAppToken, DiscardedRecently, SharedAppToken};
use super::DingTalk;

#[async_trait]
impl SharedAppToken for DingTalk {
    async fn app_token(&self) -> Result<CurrentAppToken, ConnectorError> {
        let token = self.api.token().await;
        let token = token.map_err(|error| self.connector_error(error))?;
        Ok(CurrentAppToken {
            usable_for: self.api.usable_for(&token),
            token,
        })
    }

    fn discard_app_token(&self, rejected: &str) -> Result<(), DiscardedRecently> {
        self.api.discard_token(rejected)
    }
}
