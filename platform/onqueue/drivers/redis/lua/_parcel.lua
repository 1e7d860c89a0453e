local function head_of(parcel)
  return string.match(parcel, '^(%l+)\n([^\n]*)\n([^\n]*)\n')
end

local function job_in(parcel)
  local lines = '^job' .. string.rep('\n([^\n]*)', 8) .. '\n(.*)$'
  local id, connection, queue, ready, delayed, token, delay, tie, body = string.match(parcel, lines)
  return {
    id = id, connection = connection, queue = queue, ready = ready, delayed = delayed, wake = token,
    delay = tonumber(delay), text = tie, tie = tie ~= '' and cjson.decode(tie) or {}, body = body,
  }
end

local function parcel_of(job, id, tie, body)
  local lines = {'job', id, job.connection, job.queue, job.ready, job.delayed, job.wake, job.delay, tie, body}
  return table.concat(lines, '\n')
end
