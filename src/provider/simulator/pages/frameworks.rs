//! Answers of API gateways and of the frameworks that services are written in.

use crate::provider::simulator::pages::page::{HTML, JSON, Page, TEXT, page};

/// The pages.
pub(super) const PAGES: &[Page] = &[
    page(
        "Kong 404",
        404,
        JSON,
        "{\"message\":\"no Route matched with those values\",\"request_id\":\"8a5f4c0b1d2e3f405162738495a6b7c8\"}",
    ),
    page(
        "Kong 401",
        401,
        JSON,
        "{\"message\":\"No API key found in request\",\"request_id\":\"8a5f4c0b1d2e3f405162738495a6b7c8\"}",
    ),
    page(
        "Kong 429",
        429,
        JSON,
        "{\"message\":\"API rate limit exceeded\",\"request_id\":\"8a5f4c0b1d2e3f405162738495a6b7c8\"}",
    ),
    page("Kong 503", 503, JSON, "{\"message\":\"failure to get a peer from the ring-balancer\"}"),
    page("Kong in an envelope, 404", 404, JSON, "{\"errors\":{\"message\":\"no Route matched\"}}"),
    page("Tyk 403", 403, JSON, "{\n    \"error\": \"Access to this API has been disallowed\"\n}"),
    page("Tyk 500", 500, JSON, "{\n    \"error\": \"There was a problem proxying the request\"\n}"),
    page("APISIX 404", 404, JSON, "{\"error_msg\":\"404 Route Not Found\"}\n"),
    page(
        "APISIX 502",
        502,
        HTML,
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>openresty</center>\r\n<p><em>Powered by <a href=\"https://apisix.apache.org/\">APISIX</a>.</em></p></body>\r\n</html>\r\n",
    ),
    page(
        "Higress 503",
        503,
        TEXT,
        "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection timeout",
    ),
    page(
        "Spring 404",
        404,
        JSON,
        "{\"timestamp\":\"2026-11-24T12:00:00.000+00:00\",\"status\":404,\"error\":\"Not Found\",\"path\":\"/v1/images/generations\"}",
    ),
    page(
        "Spring 500",
        500,
        JSON,
        "{\"timestamp\":\"2026-11-24T12:00:00.000+00:00\",\"status\":500,\"error\":\"Internal Server Error\",\"message\":\"Server is busy, please try again later\",\"path\":\"/v1/images/generations\"}",
    ),
    page(
        "Spring Cloud Gateway 504",
        504,
        JSON,
        "{\"timestamp\":\"2026-11-24T12:00:00.000+00:00\",\"path\":\"/v1/images/generations\",\"status\":504,\"error\":\"Gateway Timeout\",\"requestId\":\"1f2e3d4c-7\"}",
    ),
    page(
        "Express 404",
        404,
        HTML,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>Cannot POST /v1/images/generations</pre>\n</body>\n</html>\n",
    ),
    page(
        "Express 413",
        413,
        JSON,
        "{\"message\":\"request entity too large\",\"expected\":140000,\"length\":140000,\"limit\":102400,\"type\":\"entity.too.large\"}",
    ),
    page("FastAPI 404", 404, JSON, "{\"detail\":\"Not Found\"}"),
    page(
        "FastAPI 422",
        422,
        JSON,
        "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"image\"],\"msg\":\"Field required\",\"input\":{}}]}",
    ),
    page("FastAPI 500", 500, TEXT, "Internal Server Error"),
    page("Rails 404", 404, JSON, "{\"status\":404,\"error\":\"Not Found\"}"),
    page("Rails 422", 422, JSON, "{\"errors\":{\"prompt\":[\"is invalid\"]}}"),
    page(
        "Django 403, CSRF",
        403,
        HTML,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>403 Forbidden</title></head>\n<body><h1>Forbidden</h1><p>CSRF verification failed. Request aborted.</p></body>\n</html>\n",
    ),
    page("Django REST 405", 405, JSON, "{\"detail\":\"Method \\\"POST\\\" not allowed.\"}"),
    page("Laravel 419", 419, JSON, "{\"message\":\"CSRF token mismatch.\"}"),
    page("Laravel 429", 429, JSON, "{\"message\":\"Too Many Attempts.\"}"),
    page(
        "ASP.NET 400",
        400,
        "application/problem+json",
        "{\"type\":\"https://tools.ietf.org/html/rfc9110#section-15.5.1\",\"title\":\"One or more validation errors occurred.\",\"status\":400,\"errors\":{\"Prompt\":[\"The Prompt field is required.\"]},\"traceId\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\"}",
    ),
    page(
        "one-api 503",
        503,
        JSON,
        "{\"error\":{\"message\":\"No available channel for the model (request id: 2026112412000012345)\",\"type\":\"one_api_error\",\"param\":\"\",\"code\":null}}",
    ),
    page(
        "one-api 400, model is loading",
        400,
        JSON,
        "{\"error\":{\"message\":\"model is loading\",\"type\":\"upstream_error\",\"code\":\"400\"}}",
    ),
    page(
        "LiteLLM 429",
        429,
        JSON,
        "{\"error\":{\"message\":\"litellm.RateLimitError: quota exceeded\",\"type\":\"throttling_error\",\"param\":null,\"code\":\"429\"}}",
    ),
    page("health check 200", 200, JSON, "{\"status\":\"ok\"}"),
    page(
        "overloaded 529",
        529,
        JSON,
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
    ),
];
