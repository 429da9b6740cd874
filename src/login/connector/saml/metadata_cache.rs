//! `MetadataCache`: the metadata of the identity provider, fetched when it is needed and kept while the
//! provider does not answer.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use url::Url;

use super::metadata::{IdpMetadata, InvalidMetadata, METADATA_BYTES_MAX, MetadataRules};
use crate::clock::{Clock, Timestamp};
use crate::outbound::{Outbound, OutboundCall, OutboundError};
use crate::single_flight::{CacheLookup, Cached, LoadPermit};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The shortest time from one fetch to the next, whatever the metadata says.
pub(super) const REFRESH_MIN: Duration = Duration::from_secs(10);

/// The time after a failed fetch before the next one.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The same while the old metadata is still in use.
const REFRESH_RETRY_PAUSE: Duration = Duration::from_secs(10);

/// How long a login waits for newer metadata while the old one is still valid.
const REFRESH_WAIT: Duration = Duration::from_secs(2);

const FETCH: OutboundCall = OutboundCall::repeatable("the metadata");

/// Why there is no metadata. Clones share one error.
#[derive(Clone, Debug)]
pub(super) enum MetadataError {
    Fetch(Arc<OutboundError>),
    Invalid(Arc<InvalidMetadata>),
    OtherEntity { pinned: String, found: String },
    Expired,
    Interrupted,
}

impl MetadataError {
    fn text(&self) -> Text {
        match self {
            Self::Fetch(_) => Text::fixed("the metadata cannot be fetched", "无法取得元数据"),
            Self::Invalid(source) => Text::of(&**source),
            Self::OtherEntity { pinned, found } => text!(
                "the metadata names another entityID than before: {found} instead of {pinned}",
                "元数据的 entityID 与以前不同：现在是 {found}，以前是 {pinned}"
            ),
            Self::Expired => Text::fixed("the metadata has expired", "元数据已过期"),
            Self::Interrupted => Text::fixed(
                "the fetch of the metadata was interrupted",
                "取元数据的过程被中断",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fetch(source) => Some(&**source),
            Self::Invalid(source) => std::error::Error::source(&**source),
            Self::OtherEntity { .. } | Self::Expired | Self::Interrupted => None,
        }
    }
}

error_of_text!(MetadataError, caused);

/// How the metadata is fetched.
#[derive(Clone, Debug)]
pub(super) struct MetadataSettings {
    /// The URL; absent: the metadata is that of a file.
    pub(super) url: Option<Url>,
    /// The name of the source in the settings, and the wanted entity. With others, another entityID is what
    /// the administrator asks for.
    pub(super) source: String,
    pub(super) rules: MetadataRules,
    pub(super) refresh: Duration,
}

/// The metadata of one identity provider. A reload of the configuration keeps its state.
#[derive(Clone)]
pub(super) struct MetadataCache {
    settings: MetadataSettings,
    state: Arc<MetadataState>,
    outbound: Outbound,
    clock: Clock,
}

/// The state that survives a reload of the configuration.
pub(super) struct MetadataState {
    source: (String, Option<String>),
    signed_by: Option<super::super::kit::xml_signature::VerifyingKey>,
    allow_sha1: bool,
    cached: Cached<Arc<IdpMetadata>, MetadataError>,
    /// The entityID that was seen first.
    pinned: Mutex<Option<String>>,
    /// When a signature last caused a fetch.
    refetched_at: Mutex<Option<Timestamp>>,
}

impl fmt::Debug for MetadataCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataCache")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl MetadataState {
    fn new(settings: &MetadataSettings, clock: &Clock, pinned: Option<String>) -> Self {
        Self {
            source: (settings.source.clone(), settings.rules.entity_id.clone()),
            signed_by: settings.rules.signed_by.clone(),
            allow_sha1: settings.rules.allow_sha1,
            cached: Cached::new(clock.clone()),
            pinned: Mutex::new(pinned),
            refetched_at: Mutex::default(),
        }
    }

    fn pinned(&self) -> Option<String> {
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        pinned.clone()
    }

    /// Refuses another entityID than before: the accounts are those of the people of that one.
    fn pin(&self, found: &str) -> Result<(), MetadataError> {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let pinned = pinned.get_or_insert_with(|| found.to_owned());
        match *pinned == found {
            true => Ok(()),
            false => Err(MetadataError::OtherEntity {
                pinned: pinned.clone(),
                found: found.to_owned(),
            }),
        }
    }
}

impl MetadataCache {
    /// Continues with the state of the same source before a reload. Makes no network call.
    pub(super) fn new(
        settings: MetadataSettings,
        kept: Option<Arc<MetadataState>>,
        outbound: &Outbound,
        clock: Clock,
    ) -> Self {
        let source = (settings.source.clone(), settings.rules.entity_id.clone());
        let kept = kept.filter(|kept| kept.source == source);
        let state = match kept {
            Some(kept)
                if settings.url.is_some()
                    && kept.signed_by == settings.rules.signed_by
                    && kept.allow_sha1 == settings.rules.allow_sha1 =>
            {
                kept
            }
            kept => {
                let pinned = kept.and_then(|kept| kept.pinned());
                Arc::new(MetadataState::new(&settings, &clock, pinned))
            }
        };
        Self {
            outbound: outbound.with_response_limit(METADATA_BYTES_MAX),
            settings,
            state,
            clock,
        }
    }

    pub(super) fn state(&self) -> Arc<MetadataState> {
        Arc::clone(&self.state)
    }

    /// Takes over the content of a metadata file.
    pub(super) fn read_file(&self, content: &[u8]) -> Result<(), MetadataError> {
        let metadata = read(&self.settings, &self.state, content, self.clock.now())?;
        self.state.cached.set(Arc::new(metadata), Duration::MAX);
        Ok(())
    }

    /// The metadata in memory, if it is valid; sends no request.
    pub(super) fn cached(&self) -> Option<Arc<IdpMetadata>> {
        let latest = self.state.cached.latest()?.value;
        latest.is_valid_at(self.clock.now()).then_some(latest)
    }

    /// The metadata. It is fetched if there is none, and if it is old: then the caller waits a moment for
    /// the new one, and gets the old one if that does not come. Cancel-safe.
    pub(super) async fn current(&self) -> Result<Arc<IdpMetadata>, MetadataError> {
        let Some(latest) = self.cached() else {
            return self.fetch_first().await;
        };
        let Some(permit) = self.state.cached.try_load_permit() else {
            return Ok(latest);
        };
        if self.settings.url.is_none() {
            return Ok(latest);
        }
        let refresh = tokio::spawn(self.clone().refresh(permit));
        match timeout(REFRESH_WAIT, refresh).await {
            Ok(Ok(Ok(newer))) => Ok(newer),
            _ => Ok(latest),
        }
    }

    /// Fetches the metadata because a signature names no key in it; `None` if that happened a moment ago or
    /// brought nothing. Cancel-safe.
    pub(super) async fn refetch(&self) -> Option<Arc<IdpMetadata>> {
        self.settings.url.as_ref()?;
        let now = self.clock.now();
        {
            let last = self.state.refetched_at.lock();
            let mut last = last.unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.since(last) < REFRESH_MIN) {
                return None;
            }
            *last = Some(now);
        }
        match self.state.cached.get_if(|_| false).await {
            CacheLookup::LoadPermit(permit) => {
                let refresh = tokio::spawn(self.clone().refresh(permit));
                refresh.await.ok()?.ok()
            }
            CacheLookup::Value(_) | CacheLookup::RecentFailure(_) => None,
        }
    }

    async fn fetch_first(&self) -> Result<Arc<IdpMetadata>, MetadataError> {
        let now = self.clock.now();
        let is_valid = |metadata: &Arc<IdpMetadata>| metadata.is_valid_at(now);
        match self.state.cached.get_if(|it| is_valid(&it.value)).await {
            CacheLookup::Value(metadata) => Ok(metadata),
            CacheLookup::RecentFailure(error) => Err(error),
            CacheLookup::LoadPermit(permit) => {
                // In a task, because other callers wait for the result even if this one is cancelled.
                let fetching = tokio::spawn(self.clone().refresh(permit));
                fetching.await.map_err(|_| MetadataError::Interrupted)?
            }
        }
    }

    async fn refresh(
        self,
        permit: LoadPermit<Arc<IdpMetadata>, MetadataError>,
    ) -> Result<Arc<IdpMetadata>, MetadataError> {
        match self.fetch().await {
            Ok(metadata) => {
                let fresh_for = self.fresh_for(&metadata);
                Ok(permit.store(Arc::new(metadata), fresh_for))
            }
            Err(error) => {
                let is_used = self.cached().is_some();
                let chain = error_chain(&error).to_string();
                tracing::warn!(
                    metadata = %self.settings.source,
                    error = %chain,
                    is_used,
                    "the metadata of an identity provider is not taken over"
                );
                let pause = match is_used {
                    true => REFRESH_RETRY_PAUSE,
                    false => RETRY_PAUSE,
                };
                Err(permit.fail(error, pause))
            }
        }
    }

    async fn fetch(&self) -> Result<IdpMetadata, MetadataError> {
        // A file that was valid when it was read has expired.
        let url = self.settings.url.as_ref().ok_or(MetadataError::Expired)?;
        let document = self.outbound.get_bytes(url, &[], FETCH).await;
        let document = document.map_err(|error| MetadataError::Fetch(Arc::new(error)))?;
        read(&self.settings, &self.state, &document, self.clock.now())
    }

    /// How long it is used before it is fetched again.
    fn fresh_for(&self, metadata: &IdpMetadata) -> Duration {
        let until_end = metadata.valid_until.map(|end| end.since(self.clock.now()));
        let limits = [metadata.cache_duration, until_end];
        let shortest = limits.into_iter().flatten().min();
        let refresh = self.settings.refresh;
        shortest
            .map_or(refresh, |limit| limit.min(refresh))
            .max(REFRESH_MIN)
    }
}

fn read(
    settings: &MetadataSettings,
    state: &MetadataState,
    document: &[u8],
    now: Timestamp,
) -> Result<IdpMetadata, MetadataError> {
    let metadata = IdpMetadata::read(document, &settings.rules, now);
    let metadata = metadata.map_err(|error| MetadataError::Invalid(Arc::new(error)))?;
    state.pin(&metadata.entity_id)?;
    Ok(metadata)
}
