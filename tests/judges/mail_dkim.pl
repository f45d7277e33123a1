#!/usr/bin/perl
# Mail::DKIM's opinion of every DKIM signature that is ours and of the ARC chain.
# Usage: mail_dkim.pl KEYS.json DOMAIN FILE...   KEYS.json maps a DNS name to its TXT record.
# Prints one JSON object a file: {"file": ..., "dkim": ["pass", ...], "arc": "pass"}
use strict;
use warnings;
use JSON;
use Mail::DKIM::Verifier;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::DNS;
use Net::DNS;

my ($keys_file, $ours, @files) = @ARGV;
open(my $handle, '<', $keys_file) or die "$keys_file: $!";
my $keys = decode_json(do { local $/; <$handle> });

{
    no warnings 'redefine';
    # The records come from the file, so that no name server is asked.
    *Mail::DKIM::DNS::query = sub {
        my ($domain, $type) = @_;
        my $record = $keys->{ lc($domain =~ s/\.$//r) };
        return () unless defined $record;
        my @strings = $record =~ /(.{1,250})/gs;
        return (Net::DNS::RR->new(name => $domain, type => 'TXT', txtdata => \@strings));
    };
    *Mail::DKIM::DNS::query_async = sub {
        my ($domain, $type, %params) = @_;
        my @answer = Mail::DKIM::DNS::query($domain, $type);
        my $success = $params{Callbacks}{Success};
        return sub { return $success ? $success->(@answer) : @answer };
    };
}

for my $file (@files) {
    open(my $mail, '<:raw', $file) or die "$file: $!";
    my $content = do { local $/; <$mail> };
    my $verifier = Mail::DKIM::Verifier->new();
    my $arc      = Mail::DKIM::ARC::Verifier->new();
    for my $judge ($verifier, $arc) {
        $judge->PRINT($content);
        $judge->CLOSE;
    }
    my @verdicts;
    for my $signature ($verifier->signatures) {
        next unless $signature->domain eq $ours;
        push @verdicts, $signature->result eq 'pass' ? 'pass' : $signature->result_detail;
    }
    print encode_json({ file => $file, dkim => \@verdicts, arc => $arc->result, comment => $arc->result_detail }), "\n";
}
