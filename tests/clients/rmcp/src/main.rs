//! The official Rust SDK's client, with a token in a header: `deputy-rmcp-client URL TOKEN CALLS`
//!
//! CALLS is a JSON array of [tool, arguments], made in one session. Prints one JSON line: `read`,
//! what the model would read of each call that was answered, and `ended`, what ended the session
//! before the last one was.

use std::error::Error;

use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, ContentBlock, JsonObject};
use rmcp::service::ServiceError;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;

type Calls = Vec<(String, JsonObject)>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("usage: deputy-rmcp-client URL TOKEN CALLS");
    let (url, token, calls) = (argument()?, argument()?, argument()?);
    let mut read = Vec::new();
    let made = make(&url, &token, serde_json::from_str(&calls)?, &mut read).await;
    let ended = made.err().map(|error| error.to_string());
    println!("{}", json!({ "read": read, "ended": ended }));
    Ok(())
}

async fn make(
    url: &str,
    token: &str,
    calls: Calls,
    read: &mut Vec<String>,
) -> Result<(), Box<dyn Error>> {
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
    let client = ().serve(StreamableHttpClientTransport::from_config(config)).await?;
    for (tool, arguments) in calls {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        read.push(match client.call_tool(params).await {
            Ok(result) => {
                let text = result.content.first().and_then(ContentBlock::as_text);
                text.map(|content| content.text.clone()).unwrap_or_default()
            }
            Err(ServiceError::McpError(error)) => error.message.into_owned(),
            Err(ServiceError::TransportClosed) => return Err(ServiceError::TransportClosed.into()),
            Err(error) => error.to_string(),
        });
    }
    client.cancel().await?;
    Ok(())
}
