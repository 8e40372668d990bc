-- wrk: POST usage events with ids that grow; args: prefix, RFC 3339 time, events in a request.
local head, tail, n, each
local counter = 0

function init(args)
  head = '{"specversion":"1.0","type":"request.v1","source":"urn:bench","id":"' .. args[1]
  tail = '","time":"' .. args[2] .. '","subject":"' .. args[4]
    .. '","data":{"operatorId":"' .. args[5] .. '","vpgId":"' .. args[6]
    .. '","service":"beam","outcome":"accepted","bytesUp":120,"bytesDown":40}}'
  each = tonumber(args[3])
  wrk.method = "POST"
  wrk.headers["Content-Type"] = each > 1 and "application/cloudevents-batch+json"
    or "application/cloudevents+json"
  if args[7] then wrk.headers["Content-Type"] = args[7] end
end

function request()
  if each == 1 then
    counter = counter + 1
    return wrk.format(nil, nil, nil, head .. string.format("%09d", counter) .. tail)
  end
  local parts = {}
  for i = 1, each do
    counter = counter + 1
    parts[i] = head .. string.format("%09d", counter) .. tail
  end
  return wrk.format(nil, nil, nil, "[" .. table.concat(parts, ",") .. "]")
end

function done(summary, latency, requests)
  io.write(string.format(
    'RESULT {"requests":%d,"duration_us":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration,
    summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.status + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
