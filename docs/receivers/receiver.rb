# frozen_string_literal: true

# A receiver of hookstream's requests: verifies each one, and stores it once.
#
#     WEBHOOK_SECRETS="whsec_..." PORT=8080 INBOX=inbox.tsv ruby receiver.rb
#
# WEBHOOK_SECRETS holds one secret, or several with spaces between them while a secret is exchanged.
# Each delivery becomes one line of the inbox: webhook-id, webhook-timestamp, request target. The
# rest of your program works from there. Ruby 3.0 or later, standard library only: Ruby has no HTTP
# server of its own any more, so a plain socket stands for yours.

require "openssl"
require "socket"

TOLERANCE_SECONDS = 300
REASONS = { 204 => "No Content", 400 => "Bad Request", 401 => "Unauthorized",
            405 => "Method Not Allowed", 500 => "Internal Server Error" }.freeze

# The key in a secret: base64, with or without `whsec_` in front. Raises ArgumentError.
def decode_secret(text)
  text.delete_prefix("whsec_").unpack1("m0")
end

# Why a request is refused; nil if one of the keys has signed it within five minutes.
def why_invalid(keys, id, timestamp, signatures, target, now)
  return "the request is not signed" if [id, timestamp, signatures].any? { |text| text.to_s.empty? }
  unless timestamp.match?(/\A[0-9]{1,12}\z/) && (now.to_i - timestamp.to_i).abs <= TOLERANCE_SECONDS
    return "the timestamp is not within five minutes of now"
  end

  keys.each do |key|
    mac = OpenSSL::HMAC.digest("SHA256", key, %(#{id}.#{timestamp}."#{target}"))
    expected = "v1,#{[mac].pack("m0")}"
    return nil if signatures.split.any? { |given| OpenSSL.secure_compare(expected, given) }
  end
  "no signature fits"
end

# A file with one line for each delivery. In a database: a table whose primary key is the id.
#
# One process writes it. An id is known if and only if its line is complete, also after a crash.
class Inbox
  def initialize(path)
    @file = File.open(path, File::RDWR | File::CREAT, 0o600)
    @file.binmode
    content = @file.read
    @size = (content.rindex("\n") || -1) + 1
    @file.truncate(@size) # a crash may have left half a line
    @ids = content[0, @size].lines.to_h { |line| [line.split("\t").first, true] }
    @lock = Mutex.new
  end

  # Write the delivery if it is new. Raises SystemCallError if the disk does not take it.
  def store(id, timestamp, target)
    @lock.synchronize do
      return if @ids[id]

      begin
        @file.seek(@size)
        @file.write("#{id}\t#{timestamp}\t#{target}\n")
        @file.flush
        @file.fsync
      rescue SystemCallError
        @file.truncate(@size)
        raise
      end
      @size = @file.pos
      @ids[id] = true
    end
  end
end

# The status and text for a request: 204 if the delivery is in the inbox, 401 if it is refused, 500
# to have it again. Under Rack, `env["REQUEST_URI"]` is the target and `env["HTTP_WEBHOOK_ID"]` a
# header.
def answer(keys, inbox, method, target, headers)
  return [405, "only GET"] unless method == "GET"

  id, timestamp, signatures = headers.values_at("webhook-id", "webhook-timestamp", "webhook-signature")
  reason = why_invalid(keys, id, timestamp, signatures, target, Time.now)
  return [401, reason] if reason

  inbox.store(id, timestamp, target)
  [204, ""]
rescue SystemCallError => e
  [500, e.message]
end

# Serve one connection: one request, then it is closed.
def serve(connection, keys, inbox)
  connection.binmode
  method, target, = connection.gets("\n", 16_384).to_s.split(" ")
  headers = {}
  until (line = connection.gets("\n", 16_384).to_s.chomp).empty? || headers.size > 100
    name, value = line.split(":", 2)
    headers[name.downcase] = value.to_s.strip
  end
  status, text = method && target ? answer(keys, inbox, method, target, headers) : [400, "no request"]
  length = status == 204 ? "" : "content-length: #{text.bytesize}\r\n"
  connection.write("HTTP/1.1 #{status} #{REASONS[status]}\r\nconnection: close\r\n#{length}\r\n#{text}")
rescue SystemCallError, IOError
  nil # the client has left
ensure
  connection.close
end

keys = ENV.fetch("WEBHOOK_SECRETS", "").split.map { |text| decode_secret(text) }
abort "receiver: WEBHOOK_SECRETS is empty; set it to the hook's signing secret" if keys.empty?
inbox = Inbox.new(ENV.fetch("INBOX", "inbox.tsv"))
server = TCPServer.new("127.0.0.1", Integer(ENV.fetch("PORT", "8080")))
puts "listening on 127.0.0.1:#{server.addr[1]}"
$stdout.flush
loop { Thread.new(server.accept) { |connection| serve(connection, keys, inbox) } }
