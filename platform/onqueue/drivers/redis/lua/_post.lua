local function store(desk, job)
  redis.call('HSET', desk.payloads, job.id, job.body)
  if job.text ~= '' then redis.call('HSET', desk.ties, job.id, job.text) end
  redis.call('SADD', desk.queues, job.queue)
  if job.delay > 0 then
    postpone(job.delayed, job.wake, job.id, now_ms(desk.offset) + job.delay)
  else
    if job.tie.f then enter_lane(job.id, job.tie.f, job.tie.w) else to_ready({job.id}, job.ready, false) end
    wake(job.wake, 1)
  end
end

local function post_job(desk, parcel, todo)
  local job = job_in(parcel)
  if job.connection ~= '' then
    redis.call('HSET', desk.transfers, job.id, parcel)
    return job.id
  end
  if redis.call('HEXISTS', desk.payloads, job.id) == 1 then return '' end
  todo[#todo + 1] = {job.tie, {job.id}, 'entered'}
  local stands, follows = job.id, false
  if job.tie.u then stands, follows = claimed(desk, job, now_ms(desk.offset)) end
  if stands ~= job.id then
    todo[#todo + 1] = {job.tie, {job.id}, 'skipped'}
  elseif not follows then
    store(desk, job)
  end
  return stands
end
