//! Calls whose server refuses with a 4xx status and JSON that says why.

use serde_json::Value;
use url::Url;

use super::{FormResponse, Outbound, OutboundCall, OutboundError, may_have_json_body};
use crate::secret::Secret;

impl Outbound {
    /// Sends a POST request with a JSON body. A response with a 4xx status and JSON is not an error of this
    /// function.
    pub async fn post_json_for_answer(
        &self,
        url: &Url,
        body: &Value,
        call: OutboundCall,
    ) -> Result<FormResponse, OutboundError> {
        let request = self.pooled.post(url.clone()).json(body);
        let (status, body) = self.exchange(request, call, may_have_json_body).await?;
        Ok(FormResponse { status, body })
    }

    /// Sends a GET request with a token in a header, as [`Self::post_json_for_answer`] does.
    pub async fn get_json_for_answer(
        &self,
        url: &Url,
        (header, token): (&'static str, &Secret<String>),
        call: OutboundCall,
    ) -> Result<FormResponse, OutboundError> {
        let request = self.pooled.get(url.clone()).header(header, token.expose());
        let (status, body) = self.exchange(request, call, may_have_json_body).await?;
        Ok(FormResponse { status, body })
    }
}
