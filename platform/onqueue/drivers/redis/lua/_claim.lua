local function follow(desk, key, job)
  local before = redis.call('HGET', desk.successors, key)
  local first = before and job_in(before) or job
  redis.call('HSET', desk.successors, key, parcel_of(first, first.id, first.text, job.body))
  return first.id, true
end

local function stands(desk, claim, now)
  if claim.owner == '' or tonumber(claim.expiry) <= now then return false end
  return redis.call('HEXISTS', desk.payloads, claim.owner) == 1
end

local function refused_by(desk, job)
  if not job.tie.u or job.tie.u[3] ~= 'refuse' then return false end
  local claim = claim_of(desk, job.tie.u[1])
  return claim.owner ~= job.id and stands(desk, claim, now_ms(desk.offset)) and claim.owner
end

local function claimed(desk, job, now)
  local key, lifetime, policy = unpack(job.tie.u)
  local claim = claim_of(desk, key)
  if not stands(desk, claim, now) then
    local expiry, first = string.format('%.0f', now + lifetime), string.format('%.0f', now)
    write_claim(desk, key, {
      owner = job.id, expiry = expiry, first = first, delayed = job.delayed, wake = job.wake, held = '',
    })
    return job.id
  end
  if policy ~= 'replace' and policy ~= 'keep_last' then return claim.owner end
  if claim.held ~= '' and redis.call('HEXISTS', claim.held, claim.owner) == 1 then return follow(desk, key, job) end
  redis.call('HSET', desk.payloads, claim.owner, job.body)
  if policy == 'keep_last' and redis.call('ZREM', claim.delayed, claim.owner) == 1 then
    postpone(claim.delayed, claim.wake, claim.owner, math.min(now + job.delay, claim.first + lifetime))
  end
  return claim.owner
end
