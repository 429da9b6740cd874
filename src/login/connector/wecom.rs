//! `WeCom`: 企业微信 login.
use schemars::JsonSchema; use serde::Deserialize; use crate::secret::SecretSource; use super::*;
/// c
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct Config { /// s
 pub secret: SecretSource }
/// w
#[derive(Debug)] pub struct WeCom;
impl WeCom { /// b
 pub fn build(_: &Config, _: Surroundings) -> Result<Self, BuildError> { Ok(Self) } }
#[async_trait] impl Connector for WeCom { fn kind(&self)->&'static str {"wecom"}
 async fn begin(&self, _: &Pending) -> Result<Challenge, ConnectorError> { Err(ConnectorError::Busy(Refusal{call:"",code:0,message:String::new()})) }
 async fn finish(&self, _: &Pending, _: &Answer) -> Result<Profile, ConnectorError> { Err(ConnectorError::Busy(Refusal{call:"",code:0,message:String::new()})) }
 fn default_mapping(&self) -> &'static [(&'static str, &'static str)] {&[]}
 async fn examine(&self) -> Vec<Finding> {vec![]} }
