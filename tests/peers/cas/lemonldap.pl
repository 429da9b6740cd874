# A CAS server: LemonLDAP::NG with its demonstration people (dwho, rtyler, msmith), whose passwords are their
# names.
#
#     perl lemonldap.pl DIRECTORY PORT
#
# DIRECTORY takes the configuration and the sessions. The server ends when stdin closes.
use strict;
use warnings;
use JSON;
use Plack::Loader;

my ( $directory, $port ) = @ARGV;
my $url = "http://127.0.0.1:$port/";

for my $name (qw(conf cache sessions sessions/lock psessions psessions/lock notifications)) {
    mkdir "$directory/$name" or die "$directory/$name: $!";
}

sub write_file {
    my ( $name, $text ) = @_;
    open my $file, '>', "$directory/$name" or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
}

# The tests register no services: the server gives tickets to any.
my $sessions = sub {
    my $name = shift;
    return {
        Directory     => "$directory/$name",
        LockDirectory => "$directory/$name/lock",
    };
};
my $cache = {
    namespace          => 'tests',
    default_expires_in => 600,
    directory_umask    => '007',
    cache_root         => "$directory/cache",
    cache_depth        => 3,
};
write_file(
    'conf/lmConf-1.json',
    encode_json( {
        cfgNum                     => 1,
        cfgDate                    => time,
        cfgAuthor                  => 'tests',
        cfgVersion                 => '2.16.1',
        portal                     => $url,
        domain                     => '127.0.0.1',
        cookieName                 => 'lemonldap',
        securedCookie              => 0,
        key                        => 'for the tests only',
        authentication             => 'Demo',
        userDB                     => 'Same',
        passwordDB                 => 'Demo',
        registerDB                 => 'Null',
        demoExportedVars           => { cn => 'cn', mail => 'mail', uid => 'uid' },
        exportedVars               => {},
        groups                     => {},
        macros                     => {},
        locationRules              => {},
        exportedHeaders            => {},
        whatToTrace                => 'uid',
        portalSkin                 => 'bootstrap',
        globalStorage              => 'Apache::Session::File',
        globalStorageOptions       => $sessions->('sessions'),
        persistentStorage          => 'Apache::Session::File',
        persistentStorageOptions   => $sessions->('psessions'),
        localSessionStorage        => 'Cache::FileCache',
        localSessionStorageOptions => $cache,
        issuerDBCASActivation      => 1,
        casAccessControlPolicy     => 'none',
        casAttributes              => { cn => 'cn', mail => 'mail' },
    } )
);
write_file( 'lemonldap-ng.ini', <<"INI" );
[all]
logLevel = warn
checkTime = 600
[configuration]
type = File
dirName = $directory/conf
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
INI

require Lemonldap::NG::Portal::Main;
my $storage = { confFile => "$directory/lemonldap-ng.ini" };
my $app = Lemonldap::NG::Portal::Main->run( { configStorage => $storage } );

my $server = fork // die "fork: $!";
if ( $server == 0 ) {
    Plack::Loader->load( 'Starman', host => '127.0.0.1', port => $port, workers => 2 )->run($app);
    exit;
}
1 while <STDIN>;
kill TERM => $server;
waitpid $server, 0;
