//! Connection to object storage: options and keys come from the environment that users of each cloud have.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3CopyIfNotExists};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};

use crate::images::error::StoreError;
use crate::images::object::failure::words;
use crate::model::storage_url::{StorageKind, StorageUrl};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest silence during an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle connections that are kept.
const IDLE_MAX: usize = 128;

const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Says how a store is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Images are written: a folder is created.
    Write,
    /// Images are only read, or moved.
    Read,
    /// Large files are written in parts, each of which is repeated by itself: a folder is created.
    Upload,
}

/// Connects to the storage of an address. Sends nothing.
pub(super) fn connect(url: &StorageUrl, how: Use) -> Result<Box<dyn ObjectStore>, StoreError> {
    let connector = Connector { is_local: endpoint(url).is_some_and(|endpoint| is_loopback(&endpoint)) };
    // Repetitions are the bucket's own: they take longer, and the user hears about them.
    let max_retries = if how == Use::Upload { RetryConfig::default().max_retries } else { 0 };
    let retry = RetryConfig { max_retries, ..RetryConfig::default() };
    check_endpoint(url)?;
    let built: object_store::Result<Box<dyn ObjectStore>> = match url.kind() {
        StorageKind::S3 => with_copies(AmazonS3Builder::from_env())
            .with_bucket_name(url.bucket())
            .with_checksum_algorithm(Checksum::SHA256)
            .with_allow_http(true)
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map(|store| Box::new(store) as _),
        StorageKind::Google => GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(url.bucket())
            .with_retry(retry)
            .with_http_connector(connector)
            .build()
            .map(|store| Box::new(store) as _),
        StorageKind::Azure => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(url.bucket()).with_allow_http(true);
            let builder = url.account().into_iter().fold(builder, MicrosoftAzureBuilder::with_account);
            builder.with_retry(retry).with_http_connector(connector).build().map(|store| Box::new(store) as _)
        }
        StorageKind::Folder => folder(url, how).map(|store| Box::new(store) as _),
    };
    built.map_err(|error| unusable(url, words(&error)))
}

/// Makes the store copy objects only to free names, in the way of S3 unless the environment names another one.
fn with_copies(builder: AmazonS3Builder) -> AmazonS3Builder {
    match builder.get_config_value(&AmazonS3ConfigKey::CopyIfNotExists) {
        Some(_) => builder,
        None => builder.with_copy_if_not_exists(S3CopyIfNotExists::Multipart),
    }
}

/// Opens a folder of a file system. What is written there is synced.
fn folder(url: &StorageUrl, how: Use) -> object_store::Result<LocalFileSystem> {
    let path = Path::new("/").join(url.prefix());
    if how != Use::Read {
        fs::create_dir_all(&path)
            .map_err(|error| object_store::Error::Generic { store: "folder", source: Box::new(error) })?;
    }
    Ok(LocalFileSystem::new_with_prefix(path)?.with_fsync(true))
}

fn unusable(url: &StorageUrl, cause: String) -> StoreError {
    let remedy = "set the variables of the environment that docs/object-storage.md lists";
    StoreError::Storage { doing: "use", url: url.to_string(), cause, remedy, is_outage: false }
}

/// Returns the server that the environment names in place of the cloud's own.
fn endpoint(url: &StorageUrl) -> Option<String> {
    match url.kind() {
        StorageKind::S3 => {
            let builder = AmazonS3Builder::from_env();
            let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
            keys.iter().find_map(|key| builder.get_config_value(key))
        }
        StorageKind::Google => GoogleCloudStorageBuilder::from_env().get_config_value(&GoogleConfigKey::BaseUrl),
        StorageKind::Azure => MicrosoftAzureBuilder::from_env().get_config_value(&AzureConfigKey::Endpoint),
        StorageKind::Folder => None,
    }
}

/// Refuses a server that is asked without encryption, unless it is on this machine or the user allows that.
fn check_endpoint(url: &StorageUrl) -> Result<(), StoreError> {
    let http = ClientConfigKey::AllowHttp;
    let allowed = match url.kind() {
        StorageKind::S3 => AmazonS3Builder::from_env().get_config_value(&AmazonS3ConfigKey::Client(http)),
        StorageKind::Google => GoogleCloudStorageBuilder::from_env().get_config_value(&GoogleConfigKey::Client(http)),
        StorageKind::Azure => MicrosoftAzureBuilder::from_env().get_config_value(&AzureConfigKey::Client(http)),
        StorageKind::Folder => None,
    };
    let is_allowed = allowed.is_some_and(|allowed| matches!(allowed.as_str(), "true" | "1" | "yes" | "on"));
    match endpoint(url) {
        Some(endpoint) if is_plain(&endpoint) && !is_loopback(&endpoint) && !is_allowed => {
            let variable = match url.kind() {
                StorageKind::Google => "GOOGLE_ALLOW_HTTP",
                StorageKind::Azure => "AZURE_ALLOW_HTTP",
                StorageKind::S3 | StorageKind::Folder => "AWS_ALLOW_HTTP",
            };
            Err(StoreError::PlainHttp { url: url.to_string(), variable })
        }
        _ => Ok(()),
    }
}

fn is_plain(endpoint: &str) -> bool {
    endpoint.trim().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

/// Returns whether a server is on this machine.
fn is_loopback(endpoint: &str) -> bool {
    let Ok(endpoint) = reqwest::Url::parse(endpoint.trim()) else { return false };
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Makes HTTP clients like those of providers.
#[derive(Clone, Copy, Debug)]
struct Connector {
    /// Says that the server is on this machine, and no proxy is asked for it.
    is_local: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Another part of the program may have installed a crypto provider before; that provider works as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = reqwest::Client::builder()
            .user_agent(concat!("promptbatch/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true);
        let builder = if self.is_local { builder.no_proxy() } else { builder };
        let client = builder.build();
        client
            .map(HttpClient::new)
            .map_err(|error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_encryption() {
        for local in ["http://127.0.0.1:9000", "http://localhost:1", "HTTP://[::1]:2/", "http://a.localhost"] {
            assert!(is_plain(local) && is_loopback(local), "{local}");
        }
        for other in
            ["http://10.0.0.1", "http://127.0.0.1.example", "http://localhost.example:9", "http://127.0.0.1@a.example"]
        {
            assert!(is_plain(other) && !is_loopback(other), "{other}");
        }
        assert!(!is_plain("https://10.0.0.1"));
    }
}
