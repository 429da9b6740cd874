// Asks the API of Lark with the SDK for Node: client.cjs BASE APP_ID APP_SECRET COMMAND ...
//
//   directory               prints the tenant, its departments and their members
//   person UNION_ID         prints one person
//   code CODE [CODE ...]    prints who brought each code
//
// Every answer is a line of JSON; a refusal is printed as its code.

const lark = require('@larksuiteoapi/node-sdk');

const [base, appId, appSecret, command, ...rest] = process.argv.slice(2);
const client = new lark.Client({
  appId,
  appSecret,
  domain: base,
  loggerLevel: lark.LoggerLevel.fatal,
});
const types = { user_id_type: 'union_id', department_id_type: 'open_department_id' };

// The data of an answer, or the code of a refusal.
async function asked(ask) {
  try {
    const { code, data } = await ask();
    return code === 0 ? data : { code };
  } catch (error) {
    return { code: error.response?.data?.code ?? String(error) };
  }
}

async function pages(ask) {
  const items = [];
  let token;
  do {
    const data = await asked(() => ask({ ...types, page_size: 2, page_token: token }));
    items.push(...(data.items ?? []));
    token = data.has_more ? data.page_token : undefined;
  } while (token);
  return items;
}

async function directory() {
  const children = (params) =>
    client.contact.department.children({
      path: { department_id: '0' },
      params: { ...params, fetch_child: true },
    });
  const departments = await pages(children);
  const members = [];
  for (const id of ['0', ...departments.map((one) => one.open_department_id)]) {
    const find = (params) =>
      client.contact.user.findByDepartment({ params: { ...params, department_id: id } });
    members.push(...(await pages(find)));
  }
  const { tenant } = await asked(() => client.tenant.tenant.query({}));
  return {
    tenant: tenant.tenant_key,
    departments: departments.map((one) => [one.open_department_id, one.name]),
    members: members.map((one) => [one.union_id, one.name, one.status.is_activated]),
  };
}

async function person(unionId) {
  const path = { user_id: unionId };
  const data = await asked(() => client.contact.user.get({ path, params: types }));
  return data.user ? { name: data.user.name } : data;
}

async function owner(code) {
  const data = { grant_type: 'authorization_code', code };
  const granted = await asked(() => client.authen.oidcAccessToken.create({ data }));
  if (!granted.access_token) {
    return granted;
  }
  const as = lark.withUserAccessToken(granted.access_token);
  const info = await asked(() => client.authen.userInfo.get({}, as));
  return { union_id: info.union_id, tenant: info.tenant_key };
}

async function main() {
  switch (command) {
    case 'directory':
      return directory();
    case 'person':
      return person(rest[0]);
    case 'code': {
      const owners = [];
      for (const code of rest) {
        owners.push(await owner(code));
      }
      return owners;
    }
    default:
      throw new Error(`no such command: ${command}`);
  }
}

main().then((answer) => console.log(JSON.stringify(answer)));
