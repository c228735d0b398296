//! Sources of ModelScope's access token.

use crate::provider::http::token_source::TokenSpec;

/// Environment variables and page of the token. The API's documentation, its MCP server, its samples and its users each have their own
/// variable.
pub(crate) const TOKEN: TokenSpec = TokenSpec {
    variables: &["MODELSCOPE_API_KEY", "MODELSCOPE_API_TOKEN", "MODELSCOPE_SDK_TOKEN", "MODELSCOPE_TOKEN"],
    page: "https://modelscope.cn/my/myaccesstoken",
};
