//! Sends a call: the choice of the connection, the retry, and reading the response.

use std::error::Error;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Request, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::{CALL_TIMEOUT, Outbound, OutboundCall, OutboundError};
use crate::wording::Text;

/// The longest `Content-Type` that an error quotes, in characters.
const CONTENT_TYPE_CHARS_MAX: usize = 80;

/// A response that was read to its end.
pub(super) struct WholeResponse {
    pub(super) status: u16,
    /// The `Content-Type` header, for error messages.
    content_type: Text,
    pub(super) body: Vec<u8>,
}

impl Outbound {
    /// Sends a call and reads its JSON response, whose status `accepts` must accept. Takes no longer than
    /// [`CALL_TIMEOUT`], including a retry.
    pub(super) async fn exchange(
        &self,
        request: RequestBuilder,
        call: OutboundCall,
        accepts: impl Fn(StatusCode) -> bool,
    ) -> Result<(u16, Value), OutboundError> {
        let request = request.header(ACCEPT, "application/json");
        let response = self.exchange_bytes(request, call, accepts).await?;
        // The content type is ignored: older servers send JSON as text/html or without a type.
        match serde_json::from_slice(&response.body) {
            Ok(body) => Ok((response.status, body)),
            Err(_) if response.status != StatusCode::OK.as_u16() => Err(OutboundError::Status {
                call: call.name(),
                status: response.status,
                content_type: response.content_type,
            }),
            Err(_) => Err(OutboundError::NotJson {
                call: call.name(),
                content_type: response.content_type,
            }),
        }
    }

    /// Sends a call and reads its response of any format, as [`Self::exchange`] does.
    pub(super) async fn exchange_bytes(
        &self,
        request: RequestBuilder,
        call: OutboundCall,
        accepts: impl Fn(StatusCode) -> bool,
    ) -> Result<WholeResponse, OutboundError> {
        let request = request.build();
        let request = request.map_err(|error| outbound_error(error, call))?;
        self.check_reach(request.url(), call)?;
        if !call.is_repeatable() {
            return self.attempt(&self.unpooled, request, call, &accepts).await;
        }
        let started_at = Instant::now();
        let retry = request.try_clone();
        let first = self.attempt(&self.pooled, request, call, &accepts).await;
        match (first, retry) {
            (Err(error), Some(mut retry)) if is_broken_connection(&error) => {
                let call_name = call.name();
                tracing::debug!(
                    call = call_name,
                    "the connection broke: the call is repeated on a new connection"
                );
                let time_left = CALL_TIMEOUT.saturating_sub(started_at.elapsed());
                *retry.timeout_mut() = Some(time_left);
                self.attempt(&self.unpooled, retry, call, &accepts).await
            }
            (first, _) => first,
        }
    }

    async fn attempt(
        &self,
        client: &Client,
        request: Request,
        call: OutboundCall,
        accepts: &impl Fn(StatusCode) -> bool,
    ) -> Result<WholeResponse, OutboundError> {
        let response = client.execute(request).await;
        let mut response = response.map_err(|error| outbound_error(error, call))?;
        let content_type = content_type(&response);
        let status = response.status().as_u16();
        if !accepts(response.status()) {
            return Err(OutboundError::Status {
                call: call.name(),
                status,
                content_type,
            });
        }
        Ok(WholeResponse {
            status,
            content_type,
            body: self.read_body(&mut response, call).await?,
        })
    }

    async fn read_body(
        &self,
        response: &mut Response,
        call: OutboundCall,
    ) -> Result<Vec<u8>, OutboundError> {
        let bytes_max = self.response_bytes_max;
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| outbound_error(error, call))?
        {
            if body.len() + chunk.len() > bytes_max {
                return Err(OutboundError::TooLarge {
                    call: call.name(),
                    bytes_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Whether the connection broke before the response was complete. A response that is not HTTP does not
/// count: a retry would get the same.
fn is_broken_connection(error: &OutboundError) -> bool {
    let OutboundError::Exchange { source, .. } = error else {
        return false;
    };
    let mut cause: Option<&(dyn Error + 'static)> = source.source();
    while let Some(found) = cause {
        if found
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return false;
        }
        cause = found.source();
    }
    true
}

/// Converts an error, without the URL: its query contains tokens and secrets.
pub(super) fn outbound_error(error: reqwest::Error, call: OutboundCall) -> OutboundError {
    let call = call.name();
    let source = error.without_url();
    if source.is_connect() {
        OutboundError::Connect { call, source }
    } else if source.is_timeout() {
        OutboundError::Timeout { call }
    } else {
        OutboundError::Exchange { call, source }
    }
}

fn content_type(response: &Response) -> Text {
    let value = response.headers().get(CONTENT_TYPE);
    match value.and_then(|value| value.to_str().ok()) {
        Some(value) => Text::same(
            value
                .chars()
                .take(CONTENT_TYPE_CHARS_MAX)
                .collect::<String>(),
        ),
        None => Text::fixed("no content type", "没有内容类型"),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Notify;
    use tokio_rustls::TlsAcceptor;
    use url::Url;

    use super::super::{Config, Reach};
    use super::*;

    /// A source with HTTP/2 that closes a connection when a second request arrives on it.
    struct Source {
        address: SocketAddr,
        certificate: String,
        requests: Arc<AtomicUsize>,
    }

    impl Source {
        async fn start() -> Self {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let mut tls = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key)
                .unwrap();
            tls.alpn_protocols = vec![b"h2".to_vec()];
            let acceptor = TlsAcceptor::from(Arc::new(tls));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let requests = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&requests);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&counter)));
                }
            });
            Self {
                address,
                certificate: cert.pem(),
                requests,
            }
        }

        fn outbound(&self) -> Outbound {
            let name = format!("menshen-h2-{}.pem", self.address.port());
            let ca = std::env::temp_dir().join(name);
            std::fs::write(&ca, &self.certificate).unwrap();
            let built = Outbound::build(&Config {
                proxy: None,
                ca: Some(ca.clone()),
                ca_pem: None,
                reach: Reach::Everywhere,
            });
            std::fs::remove_file(&ca).unwrap();
            built.unwrap()
        }

        async fn call(
            &self,
            outbound: &Outbound,
            call: OutboundCall,
        ) -> Result<Value, OutboundError> {
            let url = Url::parse(&format!("https://{}/", self.address)).unwrap();
            outbound.get_json(&url, &[], call).await
        }
    }

    async fn serve(acceptor: TlsAcceptor, stream: TcpStream, requests: Arc<AtomicUsize>) {
        let Ok(stream) = acceptor.accept(stream).await else {
            return;
        };
        let close = Arc::new(Notify::new());
        let (requests_here, closed) = (AtomicUsize::new(0), Arc::clone(&close));
        let service = service_fn(move |_| {
            requests.fetch_add(1, Ordering::SeqCst);
            let is_first = requests_here.fetch_add(1, Ordering::SeqCst) == 0;
            let close = Arc::clone(&closed);
            async move {
                if !is_first {
                    close.notify_one();
                    std::future::pending::<()>().await;
                }
                let answer = Full::new(Bytes::from_static(b"{}"));
                Ok::<_, Infallible>(http::Response::new(answer))
            }
        });
        let serving = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            _ = serving => {}
            () = close.notified() => {}
        }
    }

    #[tokio::test]
    async fn a_repeatable_call_is_repeated_when_its_http2_connection_ends() {
        let source = Source::start().await;
        let outbound = source.outbound();
        for _ in 0..2 {
            let answer = source
                .call(&outbound, OutboundCall::repeatable("userinfo"))
                .await;
            assert_eq!(answer.unwrap(), serde_json::json!({}));
        }
        // The second call used the connection of the first, and was then repeated.
        assert_eq!(source.requests.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_call_that_is_not_repeatable_is_sent_once_on_its_own_http2_connection() {
        let source = Source::start().await;
        let outbound = source.outbound();
        for _ in 0..3 {
            let answer = source.call(&outbound, OutboundCall::once("token")).await;
            assert_eq!(answer.unwrap(), serde_json::json!({}));
        }
        assert_eq!(source.requests.load(Ordering::SeqCst), 3);
    }
}
