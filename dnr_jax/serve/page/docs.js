// The OpenAPI document as a page: each address with its fields, and every kind of problem.

const add = (parent, name, text = '', values = {}) => {
  const element = Object.assign(document.createElement(name), values);
  element.textContent = text;
  parent.append(element);
  return element;
};

const kindOf = (schema) => {
  if (schema.anyOf) return schema.anyOf.map(kindOf).join(' or ');
  if (schema.enum) return schema.enum.join(', ');
  if (schema.const) return schema.const;
  return schema.format === 'binary' ? 'file' : schema.type;
};

const described = await (await fetch('/openapi.json')).json();
document.getElementById('host').textContent = location.host;
const paths = document.getElementById('paths');
add(paths, 'p', described.info.description);
for (const [path, methods] of Object.entries(described.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    add(paths, 'h2', `${method.toUpperCase()} ${path}`);
    add(paths, 'p', [operation.summary, operation.description].filter(Boolean).join('. '));
    const fields = operation.requestBody?.content['multipart/form-data'].schema;
    if (!fields) continue;
    add(paths, 'h3', 'Fields of the form');
    const list = add(paths, 'dl');
    for (const [name, schema] of Object.entries(fields.properties)) {
      const term = add(list, 'dt', `${name} `);
      const needed = fields.required.includes(name) ? ', required' : '';
      add(term, 'span', `${kindOf(schema)}${needed}`, { className: 'kind' });
      add(list, 'dd', schema.description);
    }
  }
}
const problems = document.getElementById('problems');
for (const [status, { description }] of Object.entries(described.paths['/v1/retarget'].post.responses)) {
  for (const [, title, name] of description.matchAll(/([^.]+) \(([\w-]+)\)\./g)) {
    add(problems, 'dt', `${status} ${name}`, { id: name });
    add(problems, 'dd', `${title.trim()}.`);
  }
}
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
