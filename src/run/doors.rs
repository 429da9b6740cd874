//! Every door of the house, bound before any is opened.

use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::door::{Address, Door, ListenConfig};
use crate::face::admin::{Admin, Health};
use crate::site::Shared;

/// The doors a configuration names.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) main: Door,
    pub(super) admin: Option<(Door, Arc<Admin>)>,
    pub(super) grpc: Option<Door>,
}

impl Doors {
    /// Binds all of them, or none.
    pub(super) fn bind(
        config: &Config,
        shared: &Shared,
        health: &Arc<Health>,
    ) -> Result<Self, StartError> {
        let server = &config.server;
        let mut main = Door::bind(&server.listen, server.tls.as_ref()).map_err(StartError::Bind)?;
        if config.ext_authz.as_ref().is_some_and(|ext| ext.on_main) {
            main = main.with_plain_http2();
        }
        Ok(Self {
            main,
            admin: admin(config, shared, health)?,
            grpc: grpc(config)?,
        })
    }
}

/// What a configuration writes for an address.
pub(super) fn address(key: &'static str, text: &str) -> Result<Address, StartError> {
    let parsed = Address::try_from(text.to_owned());
    parsed.map_err(|error| StartError::Address {
        key,
        why: error.to_string(),
    })
}

fn admin(
    config: &Config,
    shared: &Shared,
    health: &Arc<Health>,
) -> Result<Option<(Door, Arc<Admin>)>, StartError> {
    let Some(settings) = &config.admin else {
        return Ok(None);
    };
    let place = ListenConfig::plain(address("[admin] listen", &settings.listen)?);
    let door = Door::bind(&[place], None).map_err(StartError::Bind)?;
    let (sessions, telemetry) = (Arc::clone(&shared.sessions), shared.telemetry.clone());
    let admin = Admin::new(settings, sessions, telemetry, Arc::clone(health));
    let admin = admin.map_err(StartError::AdminToken)?;
    Ok(Some((door, Arc::new(admin))))
}

fn grpc(config: &Config) -> Result<Option<Door>, StartError> {
    let settings = config.ext_authz.as_ref();
    let Some(listen) = settings.and_then(|settings| settings.grpc_listen.as_deref()) else {
        return Ok(None);
    };
    let place = ListenConfig::plain(address("[ext_authz] grpc_listen", listen)?);
    let door = Door::bind(&[place], None).map_err(StartError::Bind)?;
    Ok(Some(door.with_plain_http2()))
}
