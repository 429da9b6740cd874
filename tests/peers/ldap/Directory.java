import com.unboundid.ldap.listener.InMemoryDirectoryServer;
import com.unboundid.ldap.listener.InMemoryDirectoryServerConfig;
import com.unboundid.ldap.listener.InMemoryListenerConfig;
import com.unboundid.ldap.listener.interceptor.InMemoryInterceptedSearchRequest;
import com.unboundid.ldap.listener.interceptor.InMemoryInterceptedSimpleBindRequest;
import com.unboundid.ldap.listener.interceptor.InMemoryOperationInterceptor;
import com.unboundid.ldap.sdk.LDAPException;
import com.unboundid.ldap.sdk.OperationType;
import com.unboundid.ldap.sdk.ResultCode;
import com.unboundid.util.ssl.PEMFileKeyManager;
import com.unboundid.util.ssl.SSLUtil;
import java.io.File;
import java.net.InetAddress;
import java.util.List;
import java.util.Map;

/** A directory in memory: `Directory.java PORT CERTIFICATE KEY`, with ldap at PORT and ldaps at PORT + 1. */
public class Directory {
    private static final String BASE = "dc=corp,dc=example";
    private static final String PEOPLE = "ou=people," + BASE;
    private static InMemoryDirectoryServer server;

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        SSLUtil tls = new SSLUtil(
            new PEMFileKeyManager(new File(arguments[1]), new File(arguments[2])), null);
        InetAddress loopback = InetAddress.getByName("127.0.0.1");
        InMemoryDirectoryServerConfig config = new InMemoryDirectoryServerConfig(BASE);
        config.setSchema(null);
        config.setListenerConfigs(
            InMemoryListenerConfig.createLDAPConfig(
                "ldap", loopback, port, tls.createSSLSocketFactory()),
            InMemoryListenerConfig.createLDAPSConfig(
                "ldaps", loopback, port + 1, tls.createSSLServerSocketFactory(), null));
        config.setAuthenticationRequiredOperationTypes(OperationType.SEARCH);
        config.addInMemoryOperationInterceptor(new Faults());
        server = new InMemoryDirectoryServer(config);
        addEntries();
        server.startListening();
        System.out.println("ready");
        // The test closes standard input when it ends.
        while (System.in.read() >= 0) {
        }
        server.shutDown(true);
    }

    private static void addEntries() throws Exception {
        server.add("dn: " + BASE, "objectClass: domain", "dc: corp");
        for (String unit : List.of("people", "groups")) {
            server.add("dn: ou=" + unit + "," + BASE, "objectClass: organizationalUnit", "ou: " + unit);
        }
        addPerson("gate", "gate-password");
        addPerson("alice", "alice-password");
        addPerson("张三", "密码-password");
        addPerson("a\\,b", "comma-password");
        for (String name : List.of("slow", "drop", "dropsearch", "busy", "unavailable", "locked",
            "expired", "mustchange", "disabled")) {
            addPerson(name, "x");
        }
        String groups = "ou=groups," + BASE;
        server.add("dn: cn=inner," + groups, "objectClass: groupOfNames", "cn: inner",
            "member: uid=alice," + PEOPLE);
        server.add("dn: cn=outer," + groups, "objectClass: groupOfNames", "cn: outer",
            "member: cn=inner," + groups);
        // Every search from the root gets a reference to this.
        server.add("dn: ou=far," + BASE, "objectClass: referral", "objectClass: extensibleObject",
            "ou: far", "ref: ldap://127.0.0.1:9/ou=people,dc=other,dc=example");
    }

    private static void addPerson(String name, String password) throws Exception {
        String plain = name.replace("\\", "");
        server.add("dn: uid=" + name + "," + PEOPLE, "objectClass: inetOrgPerson", "uid: " + plain,
            "cn: " + plain, "sn: " + plain, "mail: " + plain + "@corp.example",
            "userPassword: " + password);
    }

    /** Failures by the name of the person. */
    private static class Faults extends InMemoryOperationInterceptor {
        private static final Map<String, String> ACTIVE_DIRECTORY = Map.of(
            "locked", "775", "expired", "532", "mustchange", "773", "disabled", "533");

        @Override
        public void processSimpleBindRequest(InMemoryInterceptedSimpleBindRequest request)
            throws LDAPException {
            String name = request.getRequest().getBindDN();
            name = name.startsWith("uid=") ? name.substring(4).split(",")[0] : "";
            switch (name) {
                case "slow" -> sleep();
                case "drop" -> server.closeAllConnections(false);
                case "busy" -> throw new LDAPException(ResultCode.BUSY, "busy");
                case "unavailable" -> throw new LDAPException(ResultCode.UNAVAILABLE, "ending");
                default -> {
                    String data = ACTIVE_DIRECTORY.get(name);
                    if (data != null) {
                        throw new LDAPException(ResultCode.INVALID_CREDENTIALS,
                            "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data "
                                + data + ", v4563\u0000");
                    }
                }
            }
        }

        @Override
        public void processSearchRequest(InMemoryInterceptedSearchRequest request) {
            if (request.getRequest().getFilter().toString().contains("dropsearch")) {
                server.closeAllConnections(true);
            }
        }

        private static void sleep() {
            try {
                Thread.sleep(5000);
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
