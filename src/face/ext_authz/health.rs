//! The standard gRPC health service.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::SERVICE;
use crate::face::admin::Health;

/// Reports the same status for the process and for the authorization service.
#[derive(Debug)]
pub(super) struct HealthService {
    pub(super) health: Arc<Health>,
    pub(super) closing: CancellationToken,
}

impl HealthService {
    fn status(&self, service: &str) -> Option<ServingStatus> {
        let is_known = service.is_empty() || service == SERVICE;
        let status = if self.health.is_serving() && !self.closing.is_cancelled() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        is_known.then_some(status)
    }
}

fn health_response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl health_server::Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = self.status(&request.get_ref().service);
        let status = status.ok_or_else(|| Status::not_found("unknown service"))?;
        Ok(Response::new(health_response(status)))
    }

    /// Sends the current status and, at shutdown, `NOT_SERVING`. Then the stream ends, so that it does
    /// not delay the shutdown.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let status = self.status(&request.get_ref().service);
        let current = health_response(status.unwrap_or(ServingStatus::ServiceUnknown));
        let closing = self.closing.clone();
        let at_shutdown = async move {
            closing.cancelled().await;
            Ok(health_response(
                status.map_or(ServingStatus::ServiceUnknown, |_| ServingStatus::NotServing),
            ))
        };
        let statuses = stream::once(async move { Ok(current) }).chain(stream::once(at_shutdown));
        Ok(Response::new(Box::pin(statuses)))
    }
}
