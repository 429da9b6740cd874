//! The main, `[admin]` and gRPC listeners: bound together, then served.

use std::sync::Arc;

use http::Request;
use tokio_util::task::TaskTracker;

use super::StartError;
use crate::config::Config;
use crate::door::{Address, ListenConfig, Listeners, RequestBody, ServeOptions, ServerLimits};
use crate::face::admin::{Admin, Console, Health, Readiness};
use crate::face::ext_authz::{CheckListener, ExtAuthz};
use crate::open_files::OpenFiles;
use crate::request::head::Connection;
use crate::site::live::LiveSite;

/// The listeners of a configuration.
#[derive(Debug)]
pub(super) struct AllListeners {
    pub(super) main: Listeners,
    pub(super) admin: Option<Listeners>,
    pub(super) console: Option<Listeners>,
    pub(super) grpc: Option<Listeners>,
}

impl AllListeners {
    /// Binds all of them, or none.
    pub(super) fn bind(config: &Config) -> Result<Self, StartError> {
        let server = &config.server;
        let mut main =
            Listeners::bind(&server.listen, server.tls.as_ref()).map_err(StartError::Bind)?;
        main = main.with_https_port(server.external_url.https_port());
        let console = config.console.as_ref();
        let console = console.and_then(|console| console.listen.as_deref());
        let console = console.map(|listen| bind_plain_http("[console] listen", listen));
        let ext_authz = config.ext_authz.as_ref();
        if ext_authz.is_some_and(|ext_authz| ext_authz.on_main) {
            main = main.with_plain_http2();
        }
        let admin = config.admin.as_ref();
        let admin = admin.map(|admin| bind_plain_http("[admin] listen", &admin.listen));
        let grpc = ext_authz.and_then(|ext_authz| ext_authz.grpc_listen.as_deref());
        let grpc = grpc.map(|listen| bind_plain_http("[ext_authz] grpc_listen", listen));
        Ok(Self {
            main,
            admin: admin.transpose()?,
            console: console.transpose()?,
            grpc: grpc.transpose()?.map(Listeners::with_plain_http2),
        })
    }

    /// Serves all of them in the background. The tracker is empty when the last one has stopped.
    pub(super) fn serve(
        self,
        config: &Config,
        live: &Arc<LiveSite>,
        health: &Arc<Health>,
        options: &ServeOptions,
    ) -> Result<TaskTracker, StartError> {
        let files = OpenFiles::of_process();
        let limits = options.limits.capped_at(files.clients);
        if limits.connections_max < options.limits.connections_max {
            let (connections, open_files) = (limits.connections_max, files.limit);
            tracing::info!(
                connections,
                open_files,
                "connections_max is lowered to what the limit of open files allows"
            );
        }
        let with_limits = |limits| ServeOptions {
            limits,
            ..options.clone()
        };
        let (admin, console) = build_admin(config, live, health)?;
        let ext_authz = config.ext_authz.as_ref().map(|settings| {
            let shutdown = options.shutdown.clone();
            let ext_authz = ExtAuthz::new(Arc::clone(live), Arc::clone(health), shutdown);
            (Arc::new(ext_authz), settings.on_main)
        });
        let on_main = ext_authz.clone().filter(|(_, on_main)| *on_main);
        let live = Arc::clone(live);
        let serving = TaskTracker::new();
        let handler = move |request: Request<RequestBody>, connection: Arc<Connection>| {
            let (live, ext_authz) = (Arc::clone(&live), on_main.clone());
            async move {
                match ext_authz.filter(|_| ExtAuthz::is_check(&request)) {
                    // Boxed, so that this rare case does not enlarge the future of every request.
                    Some((ext_authz, _)) => {
                        let listener = CheckListener::Main;
                        Box::pin(ext_authz.handle(request, connection, listener)).await
                    }
                    None => live.handle(request, connection).await,
                }
            }
        };
        serving.spawn(self.main.serve(handler, with_limits(limits)));
        if let (Some(listeners), Some((ext_authz, _))) = (self.grpc, ext_authz) {
            let check_handler = move |request: Request<RequestBody>,
                                      connection: Arc<Connection>| {
                let ext_authz = Arc::clone(&ext_authz);
                async move {
                    let listener = CheckListener::Grpc;
                    ext_authz.handle(request, connection, listener).await
                }
            };
            let limits = options.limits.capped_at(files.per_other_listener);
            serving.spawn(listeners.serve(check_handler, with_limits(limits)));
        }
        if let (Some(listeners), Some(admin)) = (self.admin, admin) {
            let admin = Arc::new(admin);
            let handler = move |request: Request<RequestBody>, connection: Arc<Connection>| {
                let admin = Arc::clone(&admin);
                async move { admin.handle(request, &connection).await }
            };
            let limits = ServerLimits::default().capped_at(files.per_other_listener);
            serving.spawn(listeners.serve(handler, with_limits(limits)));
        }
        if let Some(listeners) = self.console {
            let handler = move |request: Request<RequestBody>, connection: Arc<Connection>| {
                let console = Arc::clone(&console);
                async move { console.handle(request, &connection).await }
            };
            let limits = ServerLimits::default().capped_at(files.per_other_listener);
            serving.spawn(listeners.serve(handler, with_limits(limits)));
        }
        serving.close();
        Ok(serving)
    }
}

/// The handlers of the `[admin]` listener, if there is one, and of the web console, which may have its own.
fn build_admin(
    config: &Config,
    live: &Arc<LiveSite>,
    health: &Arc<Health>,
) -> Result<(Option<Admin>, Arc<Console>), StartError> {
    let readiness = Arc::new(Readiness::new(Arc::clone(health), Arc::clone(live)));
    let own_listener = config.console.as_ref();
    let own_listener = own_listener.and_then(|console| console.listen.as_deref());
    let admin = config.admin.as_ref();
    let listen = own_listener.or_else(|| admin.map(|admin| admin.listen.as_str()));
    let is_on_unix = listen.is_some_and(|listen| listen.starts_with("unix:"));
    let hosts = admin.map(|admin| admin.hosts.clone()).unwrap_or_default();
    let console = Arc::new(Console::new(
        Arc::clone(live),
        Arc::clone(&readiness),
        (!is_on_unix).then_some(hosts),
    ));
    let on_admin = own_listener.is_none().then(|| Arc::clone(&console));
    let admin = admin.map(|admin| Admin::new(admin, Arc::clone(live), readiness, on_admin));
    let admin = admin.transpose().map_err(StartError::AdminToken)?;
    Ok((admin, console))
}

/// Parses the address of this configuration key.
pub(super) fn address(key: &'static str, text: &str) -> Result<Address, StartError> {
    let parsed = Address::try_from(text.to_owned());
    parsed.map_err(|why| StartError::Address { key, why })
}

fn bind_plain_http(key: &'static str, listen: &str) -> Result<Listeners, StartError> {
    let listen_config = ListenConfig::without_options(address(key, listen)?);
    Listeners::bind(&[listen_config], None).map_err(StartError::Bind)
}
