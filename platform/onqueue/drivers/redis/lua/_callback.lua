local function call_back(key, kind, about, todo, anew)
  for number = 1, 100 do
    local parcel = redis.call('HGET', key, kind .. number)
    if not parcel then return end
    local job = job_in(parcel)
    local id = anew and string.sub(redis.sha1hex(job.id .. about .. anew), 1, 32) or job.id
    job.tie.a = about
    todo[#todo + 1] = parcel_of(job, id, cjson.encode(job.tie), job.body)
    if not anew then redis.call('HDEL', key, kind .. number) end
  end
end
