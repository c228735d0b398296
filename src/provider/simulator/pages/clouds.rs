//! Answers of clouds, content delivery networks and their firewalls.

use crate::provider::simulator::pages::page::{HTML, JSON, Page, TEXT, page, with};

/// The pages.
pub(super) const PAGES: &[Page] = &[
    page(
        "Tengine 502",
        502,
        HTML,
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\r\n<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<h1>502 Bad Gateway</h1>\r\n<p>The proxy server received an invalid response from an upstream server. Sorry for the inconvenience.</body>\r\n</html>\r\n",
    ),
    page(
        "Cloudflare 520",
        520,
        HTML,
        "<!DOCTYPE html><html><head><title>api | 520: Web server is returning an unknown error</title></head><body>Error code 520</body></html>",
    ),
    page("Cloudflare 521", 521, TEXT, "error code: 521"),
    page("Cloudflare 522", 522, TEXT, "error code: 522"),
    page(
        "Cloudflare 524",
        524,
        HTML,
        "<!DOCTYPE html><html><head><title>api | 524: A timeout occurred</title></head><body>The origin web server timed out responding to this request. Please try again later.</body></html>",
    ),
    page("Cloudflare 525", 525, TEXT, "error code: 525"),
    page("Cloudflare 530, 1033", 530, TEXT, "error code: 1033"),
    page(
        "Cloudflare 403, challenge",
        403,
        HTML,
        "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head><body>Enable JavaScript and cookies to continue</body></html>",
    ),
    with(
        page(
            "Cloudflare 429, 1015",
            429,
            JSON,
            "{\"type\":\"https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/error-1015/\",\"title\":\"Error 1015: You are being rate limited\",\"status\":429,\"detail\":\"You are being rate-limited by the website owner's configuration.\",\"error_code\":1015,\"retryable\":true,\"retry_after\":30}",
        ),
        "retry-after",
        "30",
    ),
    page("Cloudflare Workers 1101", 500, TEXT, "error code: 1101"),
    page(
        "AWS ALB 502",
        502,
        HTML,
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
    ),
    page("AWS ALB 460", 460, HTML, ""),
    page(
        "AWS ALB 504",
        504,
        HTML,
        "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center><h1>504 Gateway Time-out</h1></center>\r\n</body>\r\n</html>\r\n",
    ),
    page(
        "AWS CloudFront 403",
        403,
        HTML,
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\" \"http://www.w3.org/TR/html4/loose.dtd\">\n<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1>Request blocked.</BODY></HTML>",
    ),
    page(
        "AWS CloudFront 504",
        504,
        HTML,
        "<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>504 ERROR</H1>CloudFront wasn't able to connect to the origin. Try again later, or contact the app or website owner.</BODY></HTML>",
    ),
    page("AWS API Gateway 404", 404, JSON, "{\"message\":\"Not Found\"}"),
    page("AWS API Gateway 403", 403, JSON, "{\"message\":\"Missing Authentication Token\"}"),
    page("AWS API Gateway 429", 429, JSON, "{\"message\":\"Too Many Requests\"}"),
    page("AWS API Gateway 502", 502, JSON, "{\"message\": \"Internal server error\"}"),
    page("AWS API Gateway 504", 504, JSON, "{\"message\": \"Endpoint request timed out\"}"),
    page(
        "GCP load balancer 502",
        502,
        HTML,
        "\n<html><head>\n<meta http-equiv=\"content-type\" content=\"text/html;charset=utf-8\">\n<title>502 Server Error</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: Server Error</h1>\n<h2>The server encountered a temporary error and could not complete your request.<p>Please try again in 30 seconds.</h2>\n</body></html>\n",
    ),
    page(
        "GCP ESPv2 404",
        404,
        JSON,
        "{\"code\":404,\"message\":\"Path does not match any requirement URI template.\"}",
    ),
    page(
        "Google API 400",
        400,
        JSON,
        "{\"error\":{\"code\":400,\"message\":\"Request contains an invalid argument.\",\"status\":\"INVALID_ARGUMENT\"}}",
    ),
    page(
        "Azure Front Door 503",
        503,
        HTML,
        "<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h2>Our services aren't available right now</h2><p>We're working to restore all services as soon as possible. Please check back soon.</p></body></html>",
    ),
    page("Azure API Management 404", 404, JSON, "{ \"statusCode\": 404, \"message\": \"Resource not found\" }"),
    with(
        page(
            "Azure API Management 429",
            429,
            JSON,
            "{ \"statusCode\": 429, \"message\": \"Rate limit is exceeded. Try again in 7 seconds.\" }",
        ),
        "retry-after",
        "7",
    ),
    page(
        "Azure 401",
        401,
        JSON,
        "{\"error\":{\"code\":\"401\",\"message\":\"Access denied due to invalid subscription key.\"}}",
    ),
    page(
        "Akamai 403",
        403,
        HTML,
        "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\nYou don't have permission to access this server.<P>\nReference&#32;&#35;18&#46;4c7b1160\n</BODY>\n</HTML>\n",
    ),
    page(
        "Akamai 503",
        503,
        HTML,
        "<HTML><HEAD><TITLE>Service Unavailable - Zero size object</TITLE></HEAD><BODY><H1>Service Unavailable - Zero size object</H1>The server is temporarily unable to service your request. Please try again later.</BODY></HTML>",
    ),
    page(
        "Fastly 503",
        503,
        HTML,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><html><head><title>503 first byte timeout</title></head><body><h1>Error 503 first byte timeout</h1></body></html>",
    ),
    page(
        "Aliyun SLB 503",
        503,
        HTML,
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\r\n<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body bgcolor=\"white\">\r\n<h1>503 Service Temporarily Unavailable</h1>\r\n<p>The server is temporarily unable to service your request due to maintenance downtime or capacity problems. Please try again later.</p>\r\n</body>\r\n</html>\r\n",
    ),
    page(
        "Aliyun WAF 405",
        405,
        HTML,
        "<!doctypehtml><html lang=\"zh-cn\"><meta charset=\"utf-8\"><title>405</title><div>很抱歉,由于您访问的URL有可能对网站造成安全威胁,您的访问被阻断。</div></html>",
    ),
    page(
        "Aliyun API Gateway 403",
        403,
        JSON,
        "{\"code\":\"A403IP\",\"message\":\"Access denied by IP Control Policy\",\"request_id\":\"7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF\"}",
    ),
    page(
        "DashScope 429",
        429,
        JSON,
        "{\"code\":\"Throttling.RateQuota\",\"message\":\"Requests rate limit exceeded, please try again later.\",\"request_id\":\"7AD052CB-EE8B-4DFD-BBAF-EFB340E0A5AF\"}",
    ),
];
