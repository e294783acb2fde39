// What the conformance suite expects of a server, by name, whatever it is made with.
import { createServer } from 'node:http';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

export const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const resource = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });
export const plainObject = (properties = {}, required = Object.keys(properties)) => ({ type: 'object', properties, required });
export const string = { type: 'string' };

/** By name: `[input schema, (arguments) => content]`. */
export const TOOLS = {
  test_simple_text: [plainObject(), () => [text('This is a simple text response for testing.')]],
  test_image_content: [plainObject(), () => [image]],
  test_audio_content: [plainObject(), () => [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }]],
  test_embedded_resource: [plainObject(), () => [
    resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')]],
  test_multiple_content_types: [plainObject(), () => [text('Multiple content types test:'), image,
    resource('test://mixed-content-resource', 'application/json', JSON.stringify({ test: 'data', value: 123 }))]],
  test_error_handling: [plainObject(), () => { throw new Error('This tool intentionally returns an error for testing'); }],
  test_reconnection: [plainObject(), () => [text('Nothing to reconnect to.')]],
  json_schema_2020_12_tool: [{
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: string, city: string } } },
    type: 'object',
    properties: {
      name: string, address: { $ref: '#/$defs/address' }, phone: string, email: string,
      contactMethod: { type: 'string', enum: ['phone', 'email'] },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
  }, () => [text('Accepted.')]],
};

const argument = (name) => ({ name, required: true });
const user = (...contents) => contents.map((content) => ({ role: 'user', content }));

/** By name: `[arguments, (arguments) => messages]`. */
export const PROMPTS = {
  test_simple_prompt: [[], () => user(text('This is a simple prompt for testing.'))],
  test_prompt_with_arguments: [[argument('arg1'), argument('arg2')], ({ arg1, arg2 }) =>
    user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  test_prompt_with_embedded_resource: [[argument('resourceUri')], ({ resourceUri }) => user(
    resource(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
    text('Please process the embedded resource above.'))],
  test_prompt_with_image: [[], () => user(image, text('Please analyze the image above.'))],
};

export const RESOURCES = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: PNG },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched.' },
};

export function read(uri) {
  const content = RESOURCES[uri];
  if (!content) throw new Error(`no resource ${uri}`);
  return { contents: [{ uri, ...content }] };
}

export const TEMPLATE = { uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' };

export function readTemplate(uri, id) {
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { contents: [{ uri, mimeType: TEMPLATE.mimeType, text: JSON.stringify(data) }] };
}

export const COMPLETION = { completion: { values: [], total: 0, hasMore: false } };

/**
 * Serves on the port PORT, by default a free one, prints {"event":"ready","url":...}, and ends when told.
 * What only a page of another name that resolves to this machine would send (DNS rebinding) is refused.
 */
export function serve(handle) {
  const http = createServer((request, response) => (isLocal(request) ? handle(request, response) : response.writeHead(403).end()));
  http.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
    console.log(JSON.stringify({ event: 'ready', url: `http://127.0.0.1:${http.address().port}/mcp` }));
  });
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
}

function isLocal({ headers: { host, origin } }) {
  const local = (url) => ['localhost', '127.0.0.1', '[::1]'].includes(URL.parse(url)?.hostname);
  return local(`http://${host}`) && (origin === undefined || local(origin));
}
