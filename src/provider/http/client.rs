//! HTTP client of one provider: requests to its API with the token, and downloads of images without it.

use std::env;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Url};

use crate::model::outcome::{Fault, FaultKind, Url as Link};
use crate::model::partial_download::PartialDownload;
use crate::provider::Download;
use crate::provider::http::address_policy::AddressPolicy;
use crate::provider::http::api_response::{ApiResponse, QuotaHeaders};
use crate::provider::http::base_url::BaseUrl;
use crate::provider::http::client_builder::{api_client, image_client};
use crate::provider::http::download_limits::DownloadLimits;
use crate::provider::http::error::{ClientError, NoResponse};
use crate::provider::http::image_link::{image_url, shown};
use crate::provider::http::request_limiter::RequestLimiter;
use crate::provider::http::spool::SpoolEntry;
use crate::provider::http::token::Token;
use crate::provider::http::{download, proxy, text_rejection};

/// Settings of a client.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// Base URL of the API.
    pub base_url: BaseUrl,
    /// Access token of the account.
    pub token: Token,
    /// Timeout of one request to the API.
    pub request_timeout: Duration,
    /// Longest time without a byte of a download.
    pub download_timeout: Duration,
    /// Longest image in bytes. An image that announces a greater length is not downloaded.
    pub image_bytes_max: u64,
}

/// Client of one provider, ready for requests.
#[derive(Debug)]
pub(crate) struct HttpClient {
    token: Token,
    api: Client,
    images: Client,
    /// Policy for the addresses that image links may lead to.
    reach: AddressPolicy,
    bounds: DownloadLimits,
    sockets: Arc<RequestLimiter>,
    /// Names of the headers with the remaining quota.
    quota_headers: QuotaHeaders,
    /// Environment variable that sets the proxy of the API; `None` without a proxy.
    proxy: Option<&'static str>,
}

impl HttpClient {
    /// Creates the two clients. Every request to the API has these headers, besides the token. Sends no request.
    pub(in crate::provider) fn new(
        settings: &HttpSettings,
        mut headers: HeaderMap,
        quota_headers: QuotaHeaders,
    ) -> Result<Self, ClientError> {
        let HttpSettings { base_url, token, request_timeout, download_timeout, image_bytes_max } = settings;
        token.add_to(&mut headers);
        let proxy = if base_url.is_loopback() {
            None
        } else {
            proxy::variable_for(base_url.url(), |name| env::var(name).ok())?
        };
        let reach = AddressPolicy::of_api(base_url.url());
        let api = api_client(base_url, headers, *request_timeout, &reach)?;
        let images = image_client(base_url, *download_timeout, &reach)?;
        let sockets = RequestLimiter::new();
        let bounds = DownloadLimits::new(*download_timeout, *image_bytes_max, Arc::clone(&sockets));
        Ok(Self { token: token.clone(), api, images, reach, bounds, sockets, quota_headers, proxy })
    }

    pub(in crate::provider) fn get(&self, url: Url) -> RequestBuilder {
        self.api.get(url)
    }

    pub(in crate::provider) fn post(&self, url: Url) -> RequestBuilder {
        self.api.post(url)
    }

    /// Sends a request and reads its response. The token is removed from the response, wherever it is repeated.
    pub(in crate::provider) async fn ask(&self, request: RequestBuilder) -> Result<ApiResponse, NoResponse> {
        let sent = self.sockets.send(request).await.map_err(NoResponse::from);
        let (response, _slot) = sent.map_err(|error| error.through(self.proxy))?;
        Ok(ApiResponse::read(response, self.quota_headers).await.without(&self.token))
    }

    /// Sends a request whose response may carry images, and reads them into `entry`. In the response, the address of the spooled image
    /// stands in place of its base64. The inner error is one of this disk.
    pub(in crate::provider) async fn ask_for_images(
        &self,
        request: RequestBuilder,
        entry: &mut SpoolEntry,
    ) -> Result<Result<ApiResponse, Fault>, NoResponse> {
        let sent = self.sockets.send(request).await.map_err(NoResponse::from);
        let (response, _slot) = sent.map_err(|error| error.through(self.proxy))?;
        if !response.status().is_success() {
            return Ok(Ok(ApiResponse::read(response, self.quota_headers).await.without(&self.token)));
        }
        let read = ApiResponse::read_images(response, self.quota_headers, entry).await;
        Ok(read.map(|response| response.without(&self.token)))
    }

    /// Starts the download of an image, or of the rest after `part`, if its link leads to an allowed address.
    pub(in crate::provider) async fn download(
        &self,
        url: &Link,
        part: Option<&PartialDownload>,
    ) -> Result<Download<'static>, Fault> {
        let hidden = |fault: Fault| Fault { message: self.token.redact_text(&fault.message), ..fault };
        self.reach.check(&image_url(url).map_err(hidden)?).map_err(|refused| {
            let words = format!("could not download {}: {refused}", shown(url));
            hidden(Fault::new(FaultKind::BadOutput, words))
        })?;
        let download = download::open(&self.images, url, part, &self.bounds).await.map_err(hidden)?;
        // The rest of a resumed image needs no check for text, because its beginning was checked.
        if download.n_before > 0 {
            return Ok(download);
        }
        let body = text_rejection::guarded(download.body, self.token.clone(), self.reach.is_quotable());
        Ok(Download { body, ..download })
    }
}
